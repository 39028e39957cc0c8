// What strangers wrote (names, paths, certificate fields) and numbers, as text
// that is safe to show. Nothing in this page is ever parsed as HTML.

const limit = 200; // characters of a value in a table; details show detailLimit
export const detailLimit = 1000;

// Characters that have no picture of their own or change how others are shown:
// controls, directions, joiners, invisible fillers, tags, lone surrogates.
const hidden = /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff]|[\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;
// More marks on one letter than any language writes would paint over other rows.
const marks = /(\p{M}{2})\p{M}+/gu;

// clean returns v as one line of visible text of at most max characters.
export function clean(v, max = limit) {
  let s = typeof v === "string" ? v : v === null || v === undefined ? "" : String(v);
  const cut = s.length > max;
  if (cut) s = s.slice(0, max);
  s = s.replace(hidden, "\ufffd").replace(marks, "$1");
  return cut ? s + "…" : s;
}

// isolated returns an element that shows v without effect on what is beside it.
export function isolated(v, max) {
  const e = document.createElement("bdi");
  e.textContent = clean(v, max);
  return e;
}

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
export const dash = "–";

export function finite(v) { return typeof v === "number" && Number.isFinite(v); }

// count writes a whole number: 12,345.
export function count(v) { return finite(v) ? grouped.format(v) : dash; }

// rate writes a number per second with as many digits as it deserves.
export function rate(v) {
  if (!finite(v)) return dash;
  if (v === 0) return "0";
  if (v < 0.1) return "< 0.1";
  return v < 10 ? v.toFixed(1) : grouped.format(v);
}

// bytes writes a size in binary units.
export function bytes(v) {
  if (!finite(v)) return dash;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (v >= 1024 && i < units.length - 1) { v /= 1024; i++; }
  return (i === 0 || v >= 100 ? v.toFixed(0) : v.toFixed(1)) + " " + units[i];
}

// duration writes seconds as people say them: 3 d 4 h, 12 min, 4.2 s.
export function duration(s) {
  if (!finite(s)) return dash;
  if (s < 0) s = 0;
  if (s < 10 && !Number.isInteger(s)) return s.toFixed(1) + " s";
  if (s < 60) return Math.floor(s) + " s";
  const two = (a, ua, b, ub) => a + " " + ua + (b ? " " + b + " " + ub : "");
  const m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (m < 60) return two(m, "min", m < 10 ? Math.floor(s % 60) : 0, "s");
  if (h < 24) return two(h, "h", m % 60, "min");
  return two(d, "d", d < 100 ? h % 24 : 0, "h");
}

// latency writes a short time: 850 µs, 4.2 ms, 1.3 s.
export function latency(s) {
  if (!finite(s)) return dash;
  if (s === 0) return "0";
  if (s < 0.001) return (s * 1e6).toFixed(0) + " µs";
  if (s < 1) return (s * 1e3).toFixed(s < 0.01 ? 1 : 0) + " ms";
  return s.toFixed(s < 10 ? 1 : 0) + " s";
}

const two = (n) => String(n).padStart(2, "0");

// day writes a date in UTC, as certificates have it.
export function day(t) {
  const d = typeof t === "number" ? new Date(t * 1000) : new Date(t);
  return Number.isNaN(d.getTime()) ? dash : d.toISOString().slice(0, 10);
}

// clock writes a time of day where the viewer is.
export function clock(seconds) {
  const d = new Date(seconds * 1000);
  return Number.isNaN(d.getTime()) ? dash : two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds());
}

export function plural(n, one, many) { return count(n) + " " + (n === 1 ? one : many); }
