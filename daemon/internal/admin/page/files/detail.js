// All that is known of one connection: first what the list had of it, then what
// the server tells of it alone, which is asked for again while it is shown.
import { ask } from "./api.js";
import { byId, el, say } from "./dom.js";
import { clean, count, dash, detailLimit, duration, finite, latency } from "./text.js";

const again = 2000; // milliseconds from an answer to the next question
const rowsAtMost = 40; // of a list within an answer

// A Detail shows one connection in the dialog until that closes, or shows
// something else.
export class Detail {
  constructor(c) {
    this.id = c.id;
    this.rows = new Map(); // by the name of the fact
    this.facts = el("dl", { class: "details" });
    this.note = el("p", { class: "note", role: "status" });
    this.body = [this.facts, this.note];
    this.show(c);
  }

  // follow asks for the connection until its dialog is closed, or it has ended.
  async follow() {
    this.stopped = new AbortController();
    // The event may be that of what the dialog showed before, and come late.
    byId("dialog").addEventListener("close", () => { if (!this.seen()) this.stopped.abort(); }, { signal: this.stopped.signal });
    while (this.seen()) {
      try {
        if (!document.hidden) this.show(await ask("conns?" + new URLSearchParams({ id: this.id }), { signal: this.stopped.signal }));
        this.say("");
      } catch (err) {
        if (this.stopped.signal.aborted) return;
        this.say(err.message);
        if (err.refused) break; // it is gone: what is shown is the last that was known
      }
      await new Promise((done) => { setTimeout(done, again); });
    }
    this.stopped.abort(); // and listens no more
  }

  seen() { return !this.stopped.signal.aborted && byId("dialog").open && this.facts.isConnected; }

  say(text) { say(this.note, text); }

  // show changes what is another than before, so that a selection stays.
  show(c) {
    const keys = [...order.filter((k) => k in c), ...Object.keys(c).filter((k) => !order.includes(k) && !hidden.includes(k))];
    const rows = [];
    for (const k of keys) {
      const lines = linesOf(k, c), now = lines.join("\n");
      if (!lines.length) continue;
      const r = this.rows.get(k) ?? this.add(k);
      if (r.was !== now) r.value.replaceChildren(...lines.map(shown));
      r.was = now;
      rows.push(r.row);
    }
    if (rows.length !== this.facts.children.length || rows.some((row, i) => row !== this.facts.children[i])) this.facts.replaceChildren(...rows);
  }

  add(k) {
    const value = el("dd");
    const row = el("div", {}, el("dt", {}, Object.hasOwn(names, k) ? names[k] : clean(k.replace(/_seconds$/, "").replaceAll("_", " "))), value);
    const r = { row, value };
    this.rows.set(k, r);
    return r;
  }
}

const order = ["peer", "via", "peer_name", "identity", "verdict", "port", "server_name", "tls", "tls_facts", "stage", "doing", "waits_for", "deadlines", "lane", "route", "backend", "target", "child_pid",
  "since", "connected_seconds", "idle_seconds", "bytes_in", "bytes_out", "times", "network", "limits", "notes", "ja4", "id", "worker", "pid"];
const hidden = ["hay", "stage_seconds"];
const names = { peer: "client", via: "through", verdict: "let in by", tls_facts: "TLS agreed on", waits_for: "waits for", deadlines: "would end it", lane: "runs in", times: "after accept", child_pid: "program", limits: "counts against", idle_seconds: "idle" };

// always are the facts of the list: where one is empty, that is said.
const always = ["peer", "peer_name", "port", "tls", "server_name", "stage", "doing", "since", "connected_seconds", "idle_seconds", "bytes_in", "bytes_out", "id", "worker", "pid"];

const list = (v) => (Array.isArray(v) ? v.slice(0, rowsAtMost).filter((e) => e && typeof e === "object") : []);

// linesOf writes one fact, in as many lines as it has.
function linesOf(key, c) {
  const v = c[key];
  switch (key) {
    case "stage": return [finite(c.stage_seconds) ? text(v) + ", for " + duration(c.stage_seconds) : text(v)];
    case "deadlines": return list(v).map((d) => [d.key, d.why].filter(Boolean).map(text).join(": ") + " in " + duration(d.left_seconds));
    case "times": return list(v).map((t) => text(t.part) + " " + latency(t.after_seconds));
    case "limits": return list(v).map((l) => text(l.key) + ": " + count(l.use) + " of " + count(l.value) + " " + text(l.unit) + (l.port === true ? ", of this port" : ""));
    case "notes": return list(v).map((n) => text(n.name) + ": " + text(n.value));
    case "tls_facts": return v && typeof v === "object" ? [[v.version, v.cipher, v.group, v.alpn && "ALPN " + text(v.alpn), v.resumed === true && "resumed"].filter(Boolean).map(text).join(", ")] : [];
  }
  if (v === null || v === undefined || v === "") return always.includes(key) ? [dash] : [];
  if (typeof v === "number" && key.endsWith("_seconds")) return [duration(v)];
  if (typeof v === "number" && key.startsWith("bytes_")) return [count(v) + " bytes"];
  return [text(v)];
}

function text(v) { return clean(v && typeof v === "object" ? JSON.stringify(v) : v, detailLimit); }

// shown is one line, without effect on what is beside it.
function shown(line) {
  const value = el("bdi");
  value.textContent = clean(line, detailLimit);
  return el("div", {}, value);
}
