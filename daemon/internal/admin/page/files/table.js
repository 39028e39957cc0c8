// A table that is filled anew each second and changes only what differs.
import { el } from "./dom.js";
import { clean } from "./text.js";

// Table has columns of {name, hint, num, low, cell(row)}. What cell returns is a
// text or {text, tone, mark, bar, swatch, note, button, title}; the first column
// names the row. empty is said when there are no rows.
export class Table {
  constructor(caption, columns, empty) {
    this.columns = columns;
    this.rows = [];
    this.body = el("tbody");
    const head = el("tr", {}, ...columns.map((c) => (c.name ? el("th", { scope: "col", class: classes(c), title: c.hint }, c.name) : el("td", { class: classes(c) }))));
    this.table = el("table", {}, el("caption", { class: "vh" }, caption), el("thead", {}, head), this.body);
    this.scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, this.table);
    this.none = el("p", { class: "none" }, empty);
    this.more = el("p", { class: "none", hidden: true });
    this.root = el("div", { class: "table" }, this.scroll, this.none, this.more);
  }

  // fill shows rows, at most max of them.
  fill(rows, max = 100) {
    this.scroll.hidden = rows.length === 0;
    this.none.hidden = rows.length > 0;
    this.more.hidden = rows.length <= max;
    if (rows.length > max) setText(this.more, `${rows.length - max} more are not shown.`);
    rows = rows.slice(0, max);
    while (this.rows.length > rows.length) this.rows.pop().tr.remove();
    rows.forEach((row, i) => {
      if (!this.rows[i]) this.rows.push(this.add());
      this.columns.forEach((c, k) => put(this.rows[i].cells[k], c.cell(row)));
    });
  }

  add() {
    const cells = this.columns.map((c, i) => el(i === 0 ? "th" : "td", i === 0 ? { scope: "row", class: classes(c) } : { class: classes(c) }));
    const tr = el("tr", {}, ...cells);
    this.body.append(tr);
    return { tr, cells };
  }
}

function classes(c) {
  return [c.num && "num", c.low && "low" + c.low, c.wrap && "wrap", c.bar && "bars"].filter(Boolean).join(" ") || null;
}

function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// put shows in a cell what is said of it, if that differs from before.
function put(td, v) {
  if (typeof v !== "object" || v === null) v = { text: v };
  const key = JSON.stringify(v, (k, x) => (k === "button" ? x && x.label : x));
  if (td.shown === key) return;
  td.shown = key;
  td.dataset.tone = v.tone ?? "";
  const parts = [];
  if (v.swatch) {
    const sw = el("i", { class: "sw area" });
    sw.dataset.colour = "--" + v.swatch;
    parts.push(sw);
  }
  if (v.mark) parts.push(el("span", { class: "mark-" + v.mark, "aria-hidden": "true" }));
  const text = el("bdi");
  text.textContent = clean(v.text);
  if (v.title) text.title = clean(v.title, 1000);
  parts.push(text);
  if (v.note) {
    const note = el("bdi", { class: "sub" });
    note.textContent = clean(v.note, 300);
    parts.push(note);
  }
  if (v.bar !== undefined && v.bar !== null) parts.push(bar(v.bar));
  if (v.button) parts.push(el("button", { type: "button", class: "small", "aria-label": clean(v.button.label), onclick: v.button.press }, v.button.name));
  td.replaceChildren(...parts);
}

function bar(share) {
  const inner = el("i");
  inner.style.setProperty("width", (Math.min(1, Math.max(0, share)) * 100).toFixed(1) + "%");
  return el("span", { class: "bar", "aria-hidden": "true" }, inner);
}
