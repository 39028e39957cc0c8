// The last fifteen minutes, from the differences of one tick to the next.
import { Metrics, minus, quantile } from "./metrics.js";
import { groups, groupOf } from "./outcomes.js";

export const kept = 900; // seconds
const window = 10; // seconds over which rates in tables and latencies are taken
const gapAfter = 5; // seconds without a tick break the lines

const order = new Map(groups.map((g, i) => [g.id, i]));

// History keeps points for the charts and a minute of counts for the tables.
export class History {
  constructor() {
    this.points = []; // {t, gap} or {t, accepted, handshakes, byGroup, p50, p99, open, handler, shaking}
    this.snaps = []; // the counts of the last minute, oldest first
  }

  // add takes one tick; now is when it came, in seconds.
  add(tick, now) {
    const snap = snapshot(tick, now);
    const last = this.snaps.at(-1);
    const same = last && snap.pid === last.pid && snap.up >= last.up;
    if (same && snap.up === last.up) return; // the same answer again
    // The server's clock says how far apart ticks are, however they arrive.
    if (same) snap.t = last.t + (snap.up - last.up);
    if (last && (!same || snap.up - last.up > gapAfter)) {
      this.points.push({ t: snap.t, gap: true });
      this.snaps = [];
    }
    const before = this.snaps.at(-1);
    this.snaps.push(snap);
    while (this.snaps.length > 1 && this.snaps[0].up < snap.up - 61) this.snaps.shift();
    if (before) this.points.push(this.point(snap, before));
    while (this.points.length && this.points[0].t < snap.t - kept - 2) this.points.shift();
  }

  point(snap, before) {
    const dt = snap.up - before.up;
    const byGroup = groups.map(() => 0);
    let ended = 0;
    for (const [key, n] of snap.outcomes) {
      const more = Math.max(0, n - (before.outcomes.get(key) ?? 0)) / dt;
      byGroup[order.get(groupOf(key.slice(0, key.indexOf("\n"))))] += more;
      ended += more;
    }
    const hist = minus(snap.histogram, this.ago(window)?.histogram);
    return {
      t: snap.t,
      accepted: Math.max(0, ended + (snap.open - before.open) / dt), // what came has ended or is there
      handshakes: snap.handshakes === null || before.handshakes === null ? null : Math.max(0, snap.handshakes - before.handshakes) / dt,
      byGroup,
      p50: quantile(hist, 0.5),
      p99: quantile(hist, 0.99),
      open: snap.open,
      handler: snap.handler,
      shaking: snap.shaking,
    };
  }

  // ago returns the counts as they were about so many seconds before the last.
  ago(seconds) {
    const end = this.snaps.at(-1);
    if (!end || this.snaps.length < 2) return null;
    return this.snaps.find((s) => s.up >= end.up - seconds - 0.5) ?? null;
  }

  // perSecond returns the rate of one outcome of a port, or of any sum of keys.
  perSecond(pick) {
    const end = this.snaps.at(-1), begin = this.ago(window);
    if (!begin || begin === end) return null;
    return Math.max(0, pick(end) - pick(begin)) / (end.up - begin.up);
  }

  // lastMinute returns by how much a count grew in the last minute.
  lastMinute(pick) {
    const end = this.snaps.at(-1), begin = this.snaps[0];
    return begin && begin !== end ? Math.max(0, pick(end) - pick(begin)) : null;
  }

  latest() {
    const p = this.points.at(-1);
    return p && !p.gap ? p : null;
  }
}

function number(v) { return typeof v === "number" && Number.isFinite(v) ? v : 0; }

// snapshot takes from a tick what differences are made of. Keys of outcomes are
// "outcome\nport", those of refused "limit\nport".
function snapshot(tick, now) {
  const s = tick.status ?? {}, m = new Metrics(tick.metrics);
  const outcomes = new Map(), refused = new Map();
  for (const l of s.listeners ?? []) {
    for (const [k, n] of Object.entries(l.outcomes ?? {})) add(outcomes, k + "\n" + l.port, number(n));
  }
  for (const l of tick.limits?.limits ?? []) add(refused, l.key + "\n" + l.port, number(l.refused));
  const histogram = m.histogram(["netserver_handshake_seconds"]);
  const h = s.handshakes ?? {};
  return {
    t: now,
    up: number(s.uptime_seconds),
    pid: s.pid,
    open: number(s.clients),
    handler: number(s.in_handler),
    shaking: number(h.unfinished) || number(h.waiting) + number(h.running),
    handshakes: histogram ? histogram.count : null,
    histogram,
    outcomes,
    refused,
  };
}

function add(map, key, n) { map.set(key, (map.get(key) ?? 0) + n); }
