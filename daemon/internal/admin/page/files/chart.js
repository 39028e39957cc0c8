// One chart over time on a canvas: lines, or areas upon each other. Beside it
// stand a legend with the values of the moment pointed at, and a table.
import { el, say } from "./dom.js";
import { clock, dash } from "./text.js";

const pad = { left: 46, right: 10, top: 12, bottom: 22 };

// Chart shows series, each {id, name, colour, hint, dashed, value(point)}, with
// colour the name of a CSS variable.
export class Chart {
  constructor(spec, moved) {
    Object.assign(this, spec);
    this.moved = moved; // called with the moment pointed at, seconds before now or null
    this.cursor = null;
    this.points = [];
    this.build();
  }

  build() {
    const id = "c-" + this.id;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.plot = el("div", {
      class: "plot", tabindex: "0", role: "slider", "aria-label": this.title + ": moment",
      "aria-valuemin": "-900", "aria-valuemax": "0", "aria-valuenow": "0", "aria-describedby": id + "-sum",
    }, this.canvas);
    this.summary = el("p", { class: "vh", id: id + "-sum" });
    this.when = el("span", { class: "when" });
    this.values = new Map();
    const legend = el("ul", { class: "legend" });
    for (const s of this.series) {
      const value = el("b");
      const swatch = el("i", { class: "sw " + (this.stacked ? "area" : s.dashed ? "dashed" : "line") });
      swatch.dataset.colour = s.colour;
      legend.append(el("li", { title: s.hint }, swatch, el("span", {}, s.name), value));
      this.values.set(s.id, value);
    }
    this.body = el("tbody");
    const head = el("tr", {}, el("th", { scope: "col" }, "Minute"), ...this.series.map((s) => el("th", { scope: "col" }, s.name)));
    this.table = el("details", { class: "as-table", ontoggle: () => this.fillTable() },
      el("summary", {}, "As a table"),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": this.title + ", as a table" },
        el("table", {}, el("caption", { class: "vh" }, this.title + ", the mean of each minute"), el("thead", {}, head), this.body)));
    this.root = el("figure", { class: "chart", id, "aria-labelledby": id + "-t" },
      el("figcaption", {}, el("h3", { id: id + "-t" }, this.title, " ", el("span", { class: "unit" }, this.unit)), this.when),
      this.summary, this.plot, legend, this.table);
    this.plot.addEventListener("pointermove", (e) => this.point(e));
    this.plot.addEventListener("pointerleave", () => this.moved(null));
    this.plot.addEventListener("blur", () => this.moved(null));
    this.plot.addEventListener("keydown", (e) => this.key(e));
  }

  point(e) {
    const r = this.canvas.getBoundingClientRect();
    const x = (e.clientX - r.left - pad.left) / Math.max(1, r.width - pad.left - pad.right);
    this.moved(Math.round((1 - Math.min(1, Math.max(0, x))) * this.span));
  }

  key(e) {
    const by = { ArrowLeft: 1, ArrowDown: 1, ArrowRight: -1, ArrowUp: -1, PageUp: -30, PageDown: 30 }[e.key];
    let to = this.cursor ?? 0;
    if (by) to += by;
    else if (e.key === "Home") to = this.span;
    else if (e.key === "End") to = 0;
    else if (e.key === "Escape") return this.moved(null);
    else return;
    e.preventDefault();
    this.moved(Math.min(this.span, Math.max(0, to)));
  }

  // draw shows points, of which the last span seconds are seen, with the moment
  // cursor, in seconds before the last point.
  draw(points, span, cursor) {
    this.points = points;
    this.span = span;
    this.cursor = cursor;
    const end = points.at(-1)?.t ?? 0;
    this.end = end;
    const seen = points.filter((p) => p.t >= end - span - 1);
    this.paint(seen, end);
    this.legend(cursor === null ? points.at(-1) : this.at(cursor), cursor);
  }

  at(cursor) {
    const t = this.end - cursor;
    let best = null;
    for (const p of this.points) {
      if (!best || Math.abs(p.t - t) < Math.abs(best.t - t)) best = p;
    }
    return best && Math.abs(best.t - t) <= 2 ? best : { t, gap: true };
  }

  legend(p, cursor) {
    const texts = [];
    for (const s of this.series) {
      const v = p && !p.gap ? s.value(p) : null;
      const text = v === null || v === undefined ? dash : this.format(v);
      say(this.values.get(s.id), text);
      texts.push(s.name + " " + text);
    }
    say(this.when, cursor === null || !p ? "" : clock(p.t));
    const text = p ? (cursor === null ? "now" : cursor + " seconds ago") + ": " + texts.join(", ") : "no data yet";
    this.plot.setAttribute("aria-valuenow", String(-(cursor ?? 0)));
    this.plot.setAttribute("aria-valuetext", text);
  }

  // describe writes the text that stands for the picture; seldom, so that it is
  // not a new one whenever somebody reads it.
  describe() {
    const seen = this.points.filter((p) => !p.gap && p.t >= this.end - this.span);
    if (!seen.length) return say(this.summary, "No data yet.");
    const parts = this.series.map((s) => {
      const all = seen.map(s.value).filter((v) => v !== null && v !== undefined);
      if (!all.length) return s.name + " unknown";
      const mean = all.reduce((a, b) => a + b, 0) / all.length;
      return `${s.name} ${this.format(all.at(-1))}, mean ${this.format(mean)}, highest ${this.format(Math.max(...all))}`;
    });
    say(this.summary, `Over ${Math.round((seen.at(-1).t - seen[0].t) / 60)} minutes. ${parts.join("; ")}.`);
    this.fillTable();
  }

  fillTable() {
    if (!this.table.open) return;
    const minutes = new Map();
    for (const p of this.points) {
      if (p.gap) continue;
      const m = Math.floor(p.t / 60) * 60;
      if (!minutes.has(m)) minutes.set(m, []);
      minutes.get(m).push(p);
    }
    const rows = [...minutes].reverse().map(([m, ps]) => el("tr", {}, el("th", { scope: "row" }, clock(m).slice(0, 5)),
      ...this.series.map((s) => {
        const all = ps.map(s.value).filter((v) => v !== null && v !== undefined);
        return el("td", {}, all.length ? this.format(all.reduce((a, b) => a + b, 0) / all.length) : dash);
      })));
    this.body.replaceChildren(...rows);
  }

  // paint draws the picture at the size that the page gives it.
  paint(points, end) {
    const c = this.canvas, ratio = window.devicePixelRatio || 1;
    const w = this.plot.clientWidth, h = this.plot.clientHeight;
    if (!w || !h) return;
    if (c.width !== Math.round(w * ratio) || c.height !== Math.round(h * ratio)) {
      c.width = Math.round(w * ratio);
      c.height = Math.round(h * ratio);
    }
    const g = c.getContext("2d"), css = getComputedStyle(this.root);
    const colour = (name) => css.getPropertyValue(name).trim();
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    const box = { left: pad.left, top: pad.top, right: w - pad.right, bottom: h - pad.bottom };
    const max = niceTop(this.highest(points), this.least);
    const x = (t) => box.right - ((end - t) / this.span) * (box.right - box.left);
    const y = (v) => box.bottom - (v / max.top) * (box.bottom - box.top);
    this.axes(g, css, colour, box, max, y);
    g.save();
    g.beginPath();
    g.rect(box.left, 0, box.right - box.left + 1, h);
    g.clip();
    if (this.stacked) this.areas(g, colour, points, x, y);
    else for (const s of this.series) this.line(g, colour, s, points, x, y);
    g.restore();
    if (this.cursor !== null) {
      g.strokeStyle = colour("--ink-2");
      g.lineWidth = 1;
      const at = Math.round(x(end - this.cursor)) + 0.5;
      g.beginPath();
      g.moveTo(at, box.top);
      g.lineTo(at, box.bottom);
      g.stroke();
    }
  }

  highest(points) {
    let top = 0;
    for (const p of points) {
      if (p.gap) continue;
      if (this.stacked) top = Math.max(top, this.series.reduce((sum, s) => sum + (s.value(p) ?? 0), 0));
      else for (const s of this.series) top = Math.max(top, s.value(p) ?? 0);
    }
    return top;
  }

  axes(g, css, colour, box, max, y) {
    g.font = "11px " + css.fontFamily;
    g.textBaseline = "middle";
    g.textAlign = "right";
    g.lineWidth = 1;
    for (let v = 0; v <= max.top * 1.0001; v += max.step) {
      const at = Math.round(y(v)) + 0.5;
      g.strokeStyle = colour(v === 0 ? "--axis" : "--line");
      g.beginPath();
      g.moveTo(box.left, at);
      g.lineTo(box.right, at);
      g.stroke();
      g.fillStyle = colour("--ink-2");
      g.fillText(this.format(v), box.left - 7, at);
    }
    const narrow = box.right - box.left < 340;
    const steps = this.span <= 120 ? (narrow ? 60 : 30) : this.span <= 300 ? (narrow ? 120 : 60) : narrow ? 300 : 180;
    g.textBaseline = "alphabetic";
    for (let s = 0; s <= this.span; s += steps) {
      const at = box.right - (s / this.span) * (box.right - box.left);
      g.textAlign = s === 0 ? "right" : s === this.span ? "left" : "center";
      g.fillText(s === 0 ? "now" : s % 60 ? "−" + s + " s" : "−" + s / 60 + " min", at, box.bottom + 16);
    }
  }

  line(g, colour, s, points, x, y) {
    g.strokeStyle = colour(s.colour);
    g.lineWidth = 1.75;
    g.lineJoin = "round";
    g.setLineDash(s.dashed ? [5, 3] : []);
    g.beginPath();
    let on = false;
    for (const p of points) {
      const v = p.gap ? null : s.value(p);
      if (v === null || v === undefined) { on = false; continue; }
      if (on) g.lineTo(x(p.t), y(v));
      else g.moveTo(x(p.t), y(v));
      on = true;
    }
    g.stroke();
    g.setLineDash([]);
  }

  // areas paints each run of points without a gap, from the top down, so that
  // each area covers what belongs to those below it.
  areas(g, colour, points, x, y) {
    const runs = [[]];
    for (const p of points) {
      if (p.gap) runs.push([]);
      else runs.at(-1).push(p);
    }
    for (const run of runs.filter((r) => r.length > 1)) {
      const sums = run.map((p) => this.series.reduce((all, s) => [...all, (all.at(-1) ?? 0) + (s.value(p) ?? 0)], []));
      for (let i = this.series.length - 1; i >= 0; i--) {
        if (!sums.some((s) => s[i] > (s[i - 1] ?? 0))) continue;
        g.fillStyle = colour(this.series[i].colour);
        g.beginPath();
        g.moveTo(x(run[0].t), y(0));
        run.forEach((p, k) => g.lineTo(x(p.t), y(sums[k][i])));
        g.lineTo(x(run.at(-1).t), y(0));
        g.fill();
      }
    }
  }
}

// niceTop returns a round end of an axis and the step of its lines.
function niceTop(v, least) {
  v = Math.max(v, least) * 1.05;
  const raw = v / 3, unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * unit).find((s) => s >= raw);
  return { step, top: Math.ceil(v / step - 1e-9) * step };
}
