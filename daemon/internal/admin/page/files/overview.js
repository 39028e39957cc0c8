// The first view: what wants attention, figures of now, charts and tables.
import { certLeft, findings } from "./attention.js";
import { session } from "./api.js";
import { Chart } from "./chart.js";
import { confirmBan, confirmLift } from "./dialogs.js";
import { byId, el, say, show } from "./dom.js";
import { groupOf, groups, meaning } from "./outcomes.js";
import { Metrics } from "./metrics.js";
import { Table } from "./table.js";
import { bytes, clean, count, dash, day, duration, latency, rate } from "./text.js";

const charts = [
  {
    id: "rate", title: "Connections", unit: "per second", format: rate, least: 3,
    series: [
      { id: "accepted", name: "accepted", colour: "--c-a", hint: "connections that came, whatever became of them", value: (p) => p.accepted },
      { id: "handshakes", name: "handshakes", colour: "--c-b", dashed: true, hint: "TLS handshakes that succeeded", value: (p) => p.handshakes },
    ],
  },
  {
    id: "outcomes", title: "Ended, by outcome", unit: "per second", format: rate, least: 3, stacked: true,
    series: groups.map((g, i) => ({ id: g.id, name: g.name, colour: "--g-" + g.id, hint: g.hint, value: (p) => p.byGroup[i] })),
  },
  {
    id: "latency", title: "Handshake time", unit: "of the last 10 s", format: latency, least: 0.0009,
    series: [
      { id: "p50", name: "median", colour: "--c-a", hint: "half of the handshakes took less", value: (p) => p.p50 },
      { id: "p99", name: "99th percentile", colour: "--c-c", dashed: true, hint: "one of a hundred took longer", value: (p) => p.p99 },
    ],
  },
  {
    id: "open", title: "Open connections", unit: "", format: count, least: 3,
    series: [
      { id: "open", name: "open", colour: "--c-a", hint: "all connected clients", value: (p) => p.open },
      { id: "handler", name: "in the handler", colour: "--c-b", dashed: true, hint: "clients that are being served", value: (p) => p.handler },
      { id: "shaking", name: "in the handshake", colour: "--c-c", hint: "clients whose handshake is not done", value: (p) => p.shaking },
    ],
  },
];

export class Overview {
  constructor(history) {
    this.history = history;
    this.span = 300;
    this.cursor = null;
    this.described = 0;
    this.charts = charts.map((spec) => new Chart(spec, (at) => this.point(at)));
    byId("charts").append(...this.charts.map((c) => c.root));
    this.vitals = new Map();
    this.tables = this.makeTables();
    for (const [id, t] of Object.entries(this.tables)) byId("t-" + id).append(t.root);
    byId("span").addEventListener("change", (e) => {
      this.span = Number(e.target.value);
      this.draw();
    });
    byId("ban").addEventListener("click", () => confirmBan(""));
    new ResizeObserver(() => this.draw()).observe(byId("charts"));
  }

  point(at) {
    if (at === this.cursor) return;
    this.cursor = at;
    this.draw();
  }

  draw() {
    for (const c of this.charts) c.draw(this.history.points, this.span, this.cursor);
  }

  // show shows the last tick.
  show() {
    const tick = this.tick;
    this.draw();
    const now = Date.now();
    if (now - this.described > 10000) {
      for (const c of this.charts) c.describe();
      this.described = now;
    }
    this.showAttention(findings(tick, this.history));
    this.showVitals(tick);
    this.fillTraffic(tick);
    this.fillLimits(tick);
    this.fillRest(tick);
  }

  showAttention(found) {
    const list = byId("attention"), key = JSON.stringify(found);
    if (list.shown === key) return;
    list.shown = key;
    if (!found.length) {
      list.replaceChildren(el("li", { class: "calm" }, "Nothing. All that was asked answers, and nothing ends soon."));
      return;
    }
    const words = { bad: "Problem", warn: "Warning", info: "Note" };
    list.replaceChildren(...found.map((f) => {
      const text = el("bdi");
      text.textContent = clean(f.text, 300);
      const li = el("li", {}, el("span", { class: "mark-" + f.tone, "aria-hidden": "true" }), el("span", { class: "vh" }, words[f.tone] + ": "), text);
      li.dataset.tone = f.tone;
      return li;
    }));
  }

  vital(id, name, text, note, tone) {
    let v = this.vitals.get(id);
    if (!v) {
      v = { value: el("dd", { class: "value" }), note: el("dd", { class: "sub" }) };
      v.root = el("div", {}, el("dt", {}, name), v.value, v.note);
      byId("vitals").append(v.root);
      this.vitals.set(id, v);
    }
    say(v.value, text);
    say(v.note, note ?? "");
    v.root.dataset.tone = tone ?? "";
  }

  showVitals(tick) {
    const s = tick.status ?? {}, p = this.history.latest();
    const group = (...ids) => this.history.perSecond((snap) => sumOf(snap.outcomes, (o) => ids.includes(groupOf(o))));
    this.vital("open", "Connected", count(s.clients), count(s.in_handler) + " being served");
    this.vital("rate", "Accepted", rate(p ? this.mean((q) => q.accepted) : null), "per second");
    const refused = group("limit", "rule");
    this.vital("refused", "Refused", rate(refused), "per second", refused > 0 ? "note" : "");
    const failed = group("tls", "slow");
    this.vital("failed", "Failed, too slow", rate(failed), "per second", failed > 0 ? "note" : "");
    this.vital("p99", "Handshake, p99", latency(p?.p99), p?.p50 !== null && p ? "median " + latency(p.p50) : "none lately");
    const certs = [...(tick.certs?.certificates ?? [])].filter((c) => Number.isFinite(c.days_left)).sort((a, b) => a.days_left - b.days_left);
    const left = certs.length ? certLeft(certs[0]) : { text: dash };
    this.vital("cert", "Next certificate ends", left.text, certs.length ? clean(certs[0].names?.[0] || certs[0].file, 40) : "none", left.tone);
    this.vital("memory", "Memory", bytes(s.memory_bytes), count(s.descriptors) + " descriptors");
  }

  // mean is that of the last ten seconds.
  mean(of) {
    const all = this.history.points.slice(-10).filter((p) => !p.gap).map(of).filter((v) => v !== null);
    return all.length ? all.reduce((a, b) => a + b, 0) / all.length : null;
  }

  fillTraffic(tick) {
    const metrics = new Metrics(tick.metrics);
    this.fillTLS(metrics);
    const h = this.history, end = h.snaps.at(-1), listeners = tick.status?.listeners ?? [];
    this.tables.ports.fill(listeners.map((l) => {
      const by = Object.fromEntries(groups.map((g) => [g.id, 0]));
      const open = metrics.total(["netserver_connections"], { port: l.port });
      let all = 0;
      for (const [o, n] of Object.entries(l.outcomes ?? {})) {
        by[groupOf(o)] += n;
        all += n;
      }
      return { l, by, all, open, rate: h.perSecond((s) => sumOf(s.outcomes, () => true, l.port)) };
    }));
    const totals = new Map();
    for (const [key, n] of end?.outcomes ?? []) {
      const o = key.slice(0, key.indexOf("\n"));
      totals.set(o, (totals.get(o) ?? 0) + n);
    }
    const all = [...totals.values()].reduce((a, b) => a + b, 0);
    const rows = [...totals].filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]).map(([o, n]) => ({
      o, n, share: n / all,
      rate: h.perSecond((s) => sumOf(s.outcomes, (x) => x === o)),
      minute: h.lastMinute((s) => sumOf(s.outcomes, (x) => x === o)),
    }));
    this.tables.outcomes.fill(rows);
  }

  // fillTLS lists what handshakes agreed on, from the labels of their histogram.
  fillTLS(metrics) {
    const rows = (metrics.samples("netserver_handshake_seconds") ?? []).filter((s) => s.count > 0 && s.labels?.tls_version);
    const all = rows.reduce((n, s) => n + s.count, 0);
    show(byId("h-tls").closest("section"), rows.length > 0);
    this.tables.tls.fill(rows.sort((a, b) => b.count - a.count).map((s) => ({ ...s.labels, count: s.count, share: s.count / all, mean: s.sum / s.count })), 12);
  }

  fillLimits(tick) {
    const h = this.history, shadow = new Metrics(tick.metrics);
    const limits = (tick.limits?.limits ?? []).map((l) => ({ ...l, minute: h.lastMinute((s) => s.refused.get(l.key + "\n" + l.port) ?? 0), shadow: l.port ? shadow.total(["netserver_would_refuse_total"], { limit: l.key, port: l.port }) : shadow.total(["netserver_would_refuse_total"], { limit: l.key }) }));
    limits.sort((a, b) => (b.minute ?? 0) - (a.minute ?? 0) || b.refused - a.refused || share(b) - share(a));
    this.tables.limits.fill(limits.filter((l) => l.value !== null || l.refused > 0 || l.use > 0), 12);
    const sources = tick.limits?.sources ?? [];
    const most = Math.max(1, ...sources.map((s) => s.clients));
    this.tables.sources.fill(sources.map((s) => ({ ...s, share: s.clients / most })), 12);
  }

  fillRest(tick) {
    const s = tick.status ?? {};
    this.tables.certs.fill([...(tick.certs?.certificates ?? [])].sort((a, b) => a.days_left - b.days_left));
    this.tables.targets.fill(tick.targets?.targets ?? []);
    const silent = new Map((s.silent ?? []).map((w) => [w.worker, w.seconds]));
    const workers = (s.generations ?? []).flatMap((g) => (g.workers ?? []).map((w) => ({ ...w, generation: g.generation, ending: g.state === "ending" || w.state === "ending", silent: silent.get(w.worker) })));
    this.tables.workers.fill(workers);
    this.tables.penalties.fill(tick.penalties?.boxed ?? [], 50);
    show(byId("ban"), session.write);
    show(byId("h-penalties").closest("section"), true);
  }

  makeTables() {
    const groupColumn = (g) => ({ name: g.name, hint: g.hint, num: true, low: g.id === "served" ? 0 : 2, cell: (r) => ({ text: count(r.by[g.id]), tone: r.by[g.id] ? "" : "none" }) });
    return {
      ports: new Table("Outcomes by port", [
        { name: "Port", cell: (r) => ({ text: r.l.port, note: r.l.open === false ? "closed" : null, mark: r.l.open === false ? "warn" : null }) },
        { name: "open", num: true, hint: "connected now", cell: (r) => count(r.open) },
        { name: "per second", num: true, cell: (r) => rate(r.rate) },
        { name: "ended", num: true, cell: (r) => count(r.all) },
        ...groups.map(groupColumn),
      ], "No ports."),
      outcomes: new Table("Outcomes", [
        { name: "Outcome", cell: (r) => ({ text: r.o, swatch: "g-" + groupOf(r.o) }) },
        { name: "per second", num: true, cell: (r) => rate(r.rate) },
        { name: "last minute", num: true, low: 1, cell: (r) => count(r.minute) },
        { name: "ended", num: true, cell: (r) => count(r.n) },
        { name: "share", num: true, low: 1, cell: (r) => percent(r.share) },
        barColumn((r) => r.share),
        { name: "meaning", low: 2, wrap: true, cell: (r) => ({ text: meaning(r.o), tone: "soft" }) },
      ], "No client has ended yet."),
      tls: new Table("What TLS handshakes agreed on", [
        { name: "TLS", cell: (r) => ({ text: r.tls_version }) },
        { name: "resumed", cell: (r) => ({ text: { true: "yes", false: "no" }[r.resumed] ?? r.resumed ?? dash }) },
        { name: "group", low: 1, cell: (r) => ({ text: r.group }) },
        { name: "suite", low: 2, cell: (r) => ({ text: r.suite }) },
        { name: "handshakes", num: true, cell: (r) => count(r.count) },
        { name: "share", num: true, low: 1, cell: (r) => percent(r.share) },
        barColumn((r) => r.share),
        { name: "mean time", num: true, cell: (r) => latency(r.mean) },
      ], "No handshakes."),
      limits: new Table("Limits and what they refused", [
        { name: "Limit", cell: (r) => ({ text: r.key, note: [r.port, r.shadow > 0 && "in shadow: " + count(r.shadow)].filter(Boolean).join(", ") || null }) },
        { name: "used", num: true, hint: "by the process that uses most of it", cell: used },
        barColumn((r) => (r.value && r.most !== null ? share(r) : null)),
        { name: "last minute", hint: "refused in the last minute", num: true, cell: (r) => ({ text: count(r.minute), tone: r.minute ? "warn" : "none", mark: r.minute ? "warn" : null }) },
        { name: "refused", num: true, cell: (r) => ({ text: count(r.refused), tone: r.refused ? "" : "none" }) },
      ], "No limits are known."),
      sources: new Table("Sources with the most clients", [
        { name: "Address or network", cell: (r) => r.network },
        { name: "clients", num: true, cell: (r) => count(r.clients) },
        barColumn((r) => r.share),
        { name: "", num: true, cell: (r) => (session.write ? { text: "", button: { name: "Ban…", label: "Ban " + r.network, press: () => confirmBan(r.network) } } : "") },
      ], "Nobody is connected."),
      certs: new Table("Certificates by the time they have left", [
        { name: "For", wrap: true, cell: (r) => ({ text: names(r), title: (r.names ?? []).join(", "), note: r.file || null }) },
        { name: "left", num: true, cell: (r) => certLeft(r) },
        { name: "ends", num: true, hint: "date in UTC", cell: (r) => ({ text: day(r.not_after), note: chainNote(r) }) },
        { name: "key, issuer", low: 2, wrap: true, cell: (r) => ({ text: r.key ?? "", note: (r.acme ? "ACME, " : "") + (r.issuer ?? "") }) },
        { name: "last error", low: 1, wrap: true, cell: (r) => ({ text: r.last_error ? r.last_error : "none", tone: r.last_error ? "warn" : "none", mark: r.last_error ? "warn" : null }) },
      ], "No certificates."),
      targets: new Table("Targets of backends", [
        { name: "Target", wrap: true, cell: (r) => ({ text: r.target, note: r.backend + (r.address && r.address !== r.target ? " · " + r.address : "") }) },
        { name: "state", wrap: true, cell: (r) => ({ text: r.state, mark: { up: "ok", down: "bad", drained: "info" }[r.state] ?? "info", tone: r.state === "down" ? "bad" : "", note: r.state === "up" ? null : r.reason || null }) },
        { name: "for", num: true, low: 2, cell: (r) => duration(r.since_seconds) },
        { name: "clients", num: true, cell: (r) => count(r.clients) },
        { name: "failed", num: true, low: 1, cell: (r) => ({ text: count(r.failed), tone: r.failed ? "" : "none" }) },
        { name: "connect", num: true, low: 1, hint: "how long connecting took of late", cell: (r) => latency(r.connect_seconds) },
      ], "No backends."),
      workers: new Table("Workers by generation", [
        { name: "Worker", wrap: true, cell: (r) => ({ text: String(r.worker), note: "generation " + r.generation + ", pid " + r.pid }) },
        { name: "state", cell: (r) => workerState(r) },
        { name: "up", num: true, low: 1, cell: (r) => duration(r.uptime_seconds) },
        { name: "clients", num: true, cell: (r) => count(r.clients) },
        { name: "served", num: true, low: 1, cell: (r) => count(r.served) },
        { name: "memory", num: true, cell: (r) => bytes(r.memory_bytes) },
        { name: "descr.", num: true, low: 2, hint: "descriptors", cell: (r) => count(r.descriptors) },
      ], "No workers."),
      penalties: new Table("Networks in the penalty box", [
        { name: "Network", cell: (r) => r.network },
        { name: "left", num: true, cell: (r) => duration(r.left_seconds) },
        { name: "offences", num: true, cell: (r) => count(r.offences) },
        { name: "", num: true, cell: (r) => (session.write ? { text: "", button: { name: "Lift…", label: "Lift the penalty of " + r.network, press: () => confirmLift(r.network) } } : "") },
      ], "Nobody is in the penalty box."),
    };
  }
}

function sumOf(outcomes, want, port) {
  let n = 0;
  for (const [key, v] of outcomes) {
    const i = key.indexOf("\n");
    if (want(key.slice(0, i)) && (port === undefined || key.slice(i + 1) === port)) n += v;
  }
  return n;
}

function share(l) { return l.value && l.most ? l.most / l.value : 0; }

function percent(v) { return v > 0 && v < 0.001 ? "< 0.1 %" : (v * 100).toFixed(v < 0.1 ? 1 : 0) + " %"; }

// used says how much of a limit is used, or what a limit of time is.
function used(l) {
  const known = l.most !== null && l.most !== undefined, limited = l.value !== null && l.value !== undefined;
  if (!known) return limited ? amount(l.value, l.unit) : dash;
  return amount(l.most, l.unit) + (limited ? " of " + amount(l.value, l.unit) : ", no limit");
}

// barColumn draws the share that the column before it says as a number.
function barColumn(of) { return { name: "", bar: true, low: 1, cell: (r) => ({ text: "", bar: of(r) }) }; }

function amount(v, unit) {
  if (unit === "bytes") return bytes(v);
  if (unit === "seconds") return duration(v);
  return count(v);
}

function names(c) {
  const all = c.names ?? [];
  if (!all.length) return "no names";
  return all.length > 2 ? clean(all[0], 80) + " and " + (all.length - 1) + " more" : all.map((n) => clean(n, 80)).join(", ");
}

function chainNote(c) {
  const chain = Date.parse(c.chain_not_after) || Number(c.chain_not_after) * 1000, own = Date.parse(c.not_after) || Number(c.not_after) * 1000;
  return chain && own && chain < own ? "chain ends " + day(c.chain_not_after) : null;
}

function workerState(w) {
  if (w.silent !== undefined || w.answers === false) return { text: "silent", note: w.silent ? "for " + duration(w.silent) : null, mark: "bad", tone: "bad" };
  if (w.ending) return { text: "ending", note: w.clients === 1 ? "waits for 1 client" : "waits for " + count(w.clients) + " clients", mark: "info" };
  return { text: w.state ?? "", mark: w.state === "serving" ? "ok" : "info" };
}
