// What an operator should look at first, worked out from one tick.
import { groupOf } from "./outcomes.js";
import { clean, count, duration, plural, rate } from "./text.js";

const soon = 21, urgent = 7; // days until a certificate ends

// tone of a certificate with so many days left.
export function certTone(days) {
  return days <= urgent ? "bad" : days <= soon ? "warn" : "";
}

export function certLeft(c) {
  const days = Number(c.days_left);
  if (!Number.isFinite(days)) return { text: "unknown", tone: "" };
  if (days <= 0) return { text: "expired", tone: "bad", mark: "bad" };
  const tone = certTone(days);
  return { text: days < 2 ? duration(days * 86400) : count(Math.floor(days)) + " days", tone, mark: tone || null };
}

// findings returns {tone, text} of all that wants attention, worst first.
export function findings(tick, history) {
  const found = [...ofCerts(tick), ...ofTargets(tick), ...ofProcesses(tick, history), ...ofRefusals(tick, history)];
  const order = { bad: 0, warn: 1, info: 2 };
  return found.sort((a, b) => order[a.tone] - order[b.tone]);
}

function ofCerts(tick) {
  const found = [];
  for (const c of tick.certs?.certificates ?? []) {
    const name = clean(c.names?.[0] || c.file || "a certificate", 60), left = certLeft(c);
    if (left.tone) found.push({ tone: left.tone, text: left.text === "expired" ? `Certificate of ${name} has expired` : `Certificate of ${name} ends in ${left.text}` });
    if (c.last_error) found.push({ tone: "warn", text: `Certificate of ${name} cannot be renewed or read: ${clean(c.last_error, 120)}` });
  }
  return found;
}

function ofTargets(tick) {
  const byBackend = new Map();
  for (const t of tick.targets?.targets ?? []) {
    const b = byBackend.get(t.backend) ?? { up: 0, down: [] };
    if (t.state === "down") b.down.push(t);
    else if (t.state === "up") b.up++;
    byBackend.set(t.backend, b);
  }
  return [...byBackend].filter(([, b]) => b.down.length).map(([name, b]) => ({
    tone: b.up ? "warn" : "bad",
    text: b.up ? `Backend ${clean(name, 60)}: ${plural(b.down.length, "target", "targets")} down, ${count(b.up)} up` : `Backend ${clean(name, 60)}: all targets are down`,
  }));
}

function ofProcesses(tick, history) {
  const s = tick.status ?? {}, found = [];
  for (const w of s.silent ?? []) found.push({ tone: "bad", text: `Worker ${count(w.worker)} (pid ${clean(w.pid)}) has not answered for ${duration(w.seconds)}` });
  if (s.crashes > 0) found.push({ tone: "warn", text: `${plural(s.crashes, "crash", "crashes")} of workers since the start; the log says why` });
  for (const l of s.listeners ?? []) {
    if (l.open === false && s.state === "serving") found.push({ tone: "warn", text: `Port ${clean(l.port, 80)} is closed` });
  }
  const shed = s.handshakes?.waiting ?? 0;
  if (shed > 1000) found.push({ tone: "warn", text: `${count(shed)} clients wait for their handshake` });
  const faults = history.lastMinute((snap) => sum(snap.outcomes, (k) => groupOf(k) === "fault" && k !== "killed" && k !== "cut"));
  if (faults > 0) found.push({ tone: "warn", text: `${plural(faults, "client", "clients")} ended by a fault of a handler or target in the last minute` });
  return found;
}

function ofRefusals(tick, history) {
  const found = [];
  for (const l of tick.limits?.limits ?? []) {
    const at = l.port ? ` of ${clean(l.port, 60)}` : "";
    const more = history.lastMinute((snap) => snap.refused.get(l.key + "\n" + l.port) ?? 0);
    if (more > 0) found.push({ tone: "warn", text: `${clean(l.key)}${at} refused ${plural(more, "client", "clients")} in the last minute` });
    else if (l.value && l.most / l.value >= 0.9) found.push({ tone: "warn", text: `${clean(l.key)}${at} is nearly used up: ${count(l.most)} of ${count(l.value)}` });
  }
  const denied = history.perSecond((snap) => sum(snap.outcomes, (k) => groupOf(k) === "rule"));
  if (denied >= 5) found.push({ tone: "info", text: `${rate(denied)} clients a second are denied by rules or for their certificates` });
  return found;
}

function sum(map, want) {
  let n = 0;
  for (const [key, v] of map) if (want(key.slice(0, key.indexOf("\n")))) n += v;
  return n;
}
