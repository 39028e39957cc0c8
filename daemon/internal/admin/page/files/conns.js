// The view of live connections: read in pages while it is open, searched and
// sorted here, and only the rows that are seen are in the document.
import { ask, session } from "./api.js";
import { confirmBan, confirmKill, open } from "./dialogs.js";
import { Detail } from "./detail.js";
import { byId, el, say } from "./dom.js";
import { bytes, clean, clock, count, duration } from "./text.js";

const page = 2500; // connections asked for at a time
const most = 50000; // connections kept
const spare = 6; // rows drawn above and below those seen

const text = (k) => (a, b) => String(a[k] ?? "").localeCompare(String(b[k] ?? ""), "en", { numeric: true });
const number = (k) => (a, b) => (b[k] ?? -1) - (a[k] ?? -1);

const columns = [
  { id: "peer", name: "Client", by: text("peer"), show: (c) => c.peer, sub: (c) => c.peer_name },
  { id: "port", name: "Port", by: text("port"), show: (c) => c.port },
  { id: "tls", name: "TLS", by: text("tls"), show: (c) => c.tls || "none" },
  { id: "server_name", name: "Name asked for", by: text("server_name"), show: (c) => c.server_name },
  { id: "doing", name: "Doing", by: text("doing"), show: (c) => c.doing || c.stage, sub: (c) => (c.doing && c.stage !== "handler" ? c.stage : "") },
  { id: "connected_seconds", name: "Connected", num: true, by: number("connected_seconds"), show: (c, age) => duration(c.connected_seconds + age) },
  { id: "idle_seconds", name: "Idle", num: true, by: number("idle_seconds"), show: (c, age) => (c.idle_seconds === null || c.idle_seconds === undefined ? "–" : duration(c.idle_seconds + age)) },
  { id: "bytes_in", name: "In", num: true, by: number("bytes_in"), show: (c) => bytes(c.bytes_in) },
  { id: "bytes_out", name: "Out", num: true, by: number("bytes_out"), show: (c) => bytes(c.bytes_out) },
  { id: "id", name: "ID", by: text("id"), show: (c) => c.id },
];

export class Connections {
  constructor() {
    this.all = [];
    this.shown = [];
    this.sort = "connected_seconds";
    this.up = false;
    this.active = 0; // the row that the keyboard is on
    this.rows = new Map(); // id to element
    this.build();
  }

  build() {
    this.scroll = byId("conns");
    this.head = el("div", { role: "row", class: "tr head-row", "aria-rowindex": "1" }, ...columns.map((c) => el("div", { role: "columnheader", class: "c-" + c.id + (c.num ? " num" : "") },
      el("button", { type: "button", class: "sort", onclick: () => this.sortBy(c.id) }, c.name, el("span", { class: "arrow", "aria-hidden": "true" })))));
    this.canvas = el("div", { class: "rows", role: "rowgroup" });
    this.grid = el("div", { class: "grid", role: "grid", "aria-labelledby": "h-conns", "aria-colcount": String(columns.length) },
      el("div", { role: "rowgroup", class: "grid-head" }, this.head), this.canvas);
    this.scroll.append(this.grid);
    byId("sortby").append(...columns.map((c) => el("option", { value: c.id }, "by " + c.name.toLowerCase())));
    byId("sortby").addEventListener("change", (e) => this.sortBy(e.target.value));
    byId("search").addEventListener("input", () => this.select());
    byId("find").addEventListener("submit", (e) => e.preventDefault());
    byId("refresh").addEventListener("click", () => this.load());
    this.scroll.addEventListener("scroll", () => this.later(), { passive: true });
    this.canvas.addEventListener("keydown", (e) => this.key(e));
    this.canvas.addEventListener("click", (e) => this.click(e));
    new ResizeObserver(() => this.later()).observe(this.scroll);
    this.markSort();
  }

  // start reads the list now and again while the view is open.
  start() {
    if (this.open) return;
    this.open = true;
    this.load();
    this.clock = setInterval(() => this.draw(), 1000);
  }

  stop() {
    this.open = false;
    this.loading?.abort();
    this.loading = null;
    clearTimeout(this.next);
    clearInterval(this.clock);
  }

  async load() {
    clearTimeout(this.next);
    this.loading?.abort();
    const loading = this.loading = new AbortController();
    const begin = performance.now(), all = [];
    let more = true, after = "";
    try {
      while (more && all.length < most) {
        const query = new URLSearchParams({ limit: String(page) });
        if (after) query.set("after", after);
        const answer = await ask("conns?" + query, { signal: loading.signal });
        for (const c of answer.clients ?? []) all.push(c);
        more = answer.more === true && answer.next && answer.next !== after;
        after = answer.next;
        if (!this.all.length) this.note(`Reading: ${count(all.length)} connections so far.`);
      }
      this.failed = null;
    } catch (err) {
      if (loading.signal.aborted) return;
      this.failed = clean(err.message, 200);
    }
    this.loading = null;
    if (!this.failed) {
      this.all = all;
      this.cut = more;
      this.at = performance.now();
      this.read = Date.now() / 1000;
      for (const c of all) c.hay = [c.peer, c.peer_name, c.port, c.tls, c.server_name, c.stage, c.doing, c.id].map((v) => String(v ?? "").slice(0, 300)).join("\n").toLowerCase();
    }
    this.select();
    if (!this.open) return;
    // Listing many costs the server something, so many are listed less often.
    const pause = Math.max(2000, all.length * 6, (performance.now() - begin) * 5);
    this.next = setTimeout(() => this.load(), Math.min(pause, 120000));
  }

  select() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    this.shown = words.length ? this.all.filter((c) => words.every((w) => c.hay.includes(w))) : [...this.all];
    const by = columns.find((c) => c.id === this.sort).by;
    this.shown.sort(this.up ? (a, b) => by(b, a) : by);
    const of = words.length ? `${count(this.shown.length)} of ${count(this.all.length)} connections match` : `${count(this.all.length)} connections`;
    if (this.failed) this.note("The list could not be read: " + this.failed);
    else this.note(of + (this.read ? ", read at " + clock(this.read) : "") + (this.cut ? `; more than ${count(most)} are not listed` : "") + ".");
    this.active = Math.min(this.active, Math.max(0, this.shown.length - 1));
    this.draw();
  }

  note(t) { say(byId("conns-note"), t); }

  sortBy(id) {
    this.up = this.sort === id ? !this.up : false;
    this.sort = id;
    this.markSort();
    this.scroll.scrollTop = 0;
    this.active = 0;
    this.select();
  }

  markSort() {
    byId("sortby").value = this.sort;
    [...this.head.children].forEach((th, i) => {
      const on = columns[i].id === this.sort;
      const rising = columns[i].num ? this.up : !this.up;
      if (on) th.setAttribute("aria-sort", rising ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
      th.querySelector(".arrow").textContent = on ? (rising ? "▲" : "▼") : "";
    });
  }

  later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.draw();
    });
  }

  rowHeight() { return parseFloat(getComputedStyle(this.grid).getPropertyValue("--row")) || 34; }

  // draw puts the rows that are seen into the document, and keeps those that
  // were there, so that the focus stays on one, or comes back to it from the
  // dialog.
  draw() {
    if (byId("view-connections").hidden) return;
    const h = this.rowHeight(), top = Math.max(0, this.scroll.scrollTop - this.head.offsetHeight);
    const from = Math.max(0, Math.floor(top / h) - spare);
    const to = Math.min(this.shown.length, Math.ceil((top + this.scroll.clientHeight) / h) + spare);
    this.grid.setAttribute("aria-rowcount", String(this.shown.length + 1));
    this.canvas.style.setProperty("height", Math.max(h, this.shown.length * h) + "px");
    const age = (performance.now() - (this.at ?? performance.now())) / 1000;
    const keep = new Set(), focused = this.canvas.contains(document.activeElement), held = focused || byId("dialog").open;
    for (let i = from; i < to; i++) keep.add(this.shown[i].id);
    if (held && this.shown[this.active]) keep.add(this.shown[this.active].id);
    for (const [id, row] of this.rows) {
      if (keep.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    for (let i = from; i < to; i++) this.place(i, h, age);
    if (held && (this.active < from || this.active >= to) && this.shown[this.active]) this.place(this.active, h, age);
    if (focused && !this.canvas.contains(document.activeElement)) this.focus(this.active);
  }

  place(i, h, age) {
    const c = this.shown[i];
    let row = this.rows.get(c.id);
    if (!row) {
      row = this.make();
      this.rows.set(c.id, row);
      this.canvas.append(row);
    }
    row.index = i;
    row.style.setProperty("transform", `translateY(${i * h}px)`);
    row.setAttribute("aria-rowindex", String(i + 2));
    row.tabIndex = i === this.active ? 0 : -1;
    columns.forEach((col, k) => {
      const cell = row.cells[k];
      set(cell.main, clean(col.show(c, age), 120));
      if (col.sub) set(cell.sub, clean(col.sub(c), 120));
    });
  }

  make() {
    const row = el("div", { role: "row", class: "tr" });
    row.cells = columns.map((col) => {
      const main = el("bdi"), sub = col.sub ? el("bdi", { class: "sub" }) : null;
      const cell = el("div", { role: "gridcell", class: "c-" + col.id + (col.num ? " num" : "") }, main, ...(sub ? [sub] : []));
      cell.dataset.name = col.name;
      row.append(cell);
      return { main, sub };
    });
    return row;
  }

  key(e) {
    const seen = Math.max(1, Math.floor(this.scroll.clientHeight / this.rowHeight()) - 2);
    const last = this.shown.length - 1;
    const to = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + seen, PageUp: this.active - seen, Home: 0, End: last }[e.key];
    if (to !== undefined) this.focus(Math.min(last, Math.max(0, to)));
    else if (e.key === "Enter" || e.key === " ") this.details(this.shown[this.active]);
    else if (e.key === "Delete" && session.write) this.kill(this.shown[this.active]);
    else return;
    e.preventDefault();
  }

  focus(i) {
    if (!this.shown[i]) return this.scroll.focus();
    this.active = i;
    const h = this.rowHeight(), head = this.head.offsetHeight, view = this.scroll;
    if (i * h < view.scrollTop) view.scrollTop = i * h;
    else if ((i + 1) * h + head > view.scrollTop + view.clientHeight) view.scrollTop = (i + 1) * h + head - view.clientHeight;
    this.draw();
    this.rows.get(this.shown[i].id)?.focus({ preventScroll: true });
  }

  click(e) {
    const row = e.target.closest(".tr");
    if (!row || String(getSelection())) return;
    this.active = row.index;
    this.draw();
    row.focus({ preventScroll: true });
    this.details(this.shown[row.index]);
  }

  kill(c) { if (c) confirmKill(c, () => this.load()); }

  details(c) {
    if (!c) return;
    const detail = new Detail(c);
    const buttons = [{ name: "Close", first: true }];
    if (session.write) {
      const host = hostOf(c.peer);
      if (host) buttons.push({ name: "Ban address…", press: () => { setTimeout(() => confirmBan(host)); } });
      buttons.push({ name: "End connection…", kind: "danger", press: () => { setTimeout(() => this.kill(c)); } });
    }
    open("Connection " + clean(c.id), detail.body, buttons);
    detail.follow();
  }
}

function set(e, t) { if (e.textContent !== t) e.textContent = t; }

// hostOf returns the address of HOST:PORT, or "" if a client has none.
export function hostOf(peer) {
  const m = /^\[([0-9a-fA-F:.]+)(?:%[^\]]*)?\]:\d+$/.exec(peer ?? "") ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(peer ?? "");
  return m ? m[1] : "";
}
