// The page: header, views, theme, and what a tick changes.
import { renew, session } from "./api.js";
import { Connections } from "./conns.js";
import { announce, byId, say, show } from "./dom.js";
import { History } from "./history.js";
import { Live } from "./live.js";
import { Overview } from "./overview.js";
import { clean, clock, count, duration, plural } from "./text.js";

const history = new History();
const overview = new Overview(history);
const connections = new Connections();
let view = "overview";
let version = null; // the one this page came with
let leaving = null; // {key, most, since} of what is being waited for

let answered = 0; // when the server last told its status
let waiting = null; // the tick that the next frame shows

function takeTick(tick, now) {
  if (!tick?.status) return showStale(answered); // the listener is there, the server behind it is not
  answered = now;
  history.add(tick, now);
  if (!waiting) requestAnimationFrame(showTick);
  waiting = { tick, now };
}

function showTick() {
  const { tick, now } = waiting;
  waiting = null;
  showHeader(tick);
  showLeaving(tick, now);
  overview.tick = tick;
  if (view === "overview") overview.show();
}

function showHeader(tick) {
  const s = tick.status ?? {}, state = byId("state");
  const text = stateText(s, tick.health ?? s.health);
  if (state.dataset.state !== text.kind || state.textContent !== text.text) {
    if (state.dataset.state !== "unknown") announce("The server is " + text.text + ".");
    state.dataset.state = text.kind;
    say(state, text.text);
  }
  say(byId("uptime"), duration(s.uptime_seconds));
  say(byId("version"), clean(s.version, 40));
  say(byId("nav-count"), count(s.clients));
  const title = (text.kind === "serving" ? "" : text.text + " · ") + (session.name ? clean(session.name, 60) + " · " : "") + "netserver";
  if (document.title !== title) document.title = title;
}

function stateText(s, health) {
  const ready = health && typeof health === "object" ? health.ready : undefined;
  const reason = health && typeof health === "object" ? clean(health.reason ?? "", 30) : "";
  if (s.state === "ending") return { kind: "ending", text: "draining" };
  if (s.state === "serving" && ready === false && reason) return { kind: "ending", text: "not ready: " + reason };
  if (s.state === "serving") return { kind: "serving", text: "serving" };
  return { kind: "changing", text: clean(s.state ?? "unknown", 30) };
}

// showLeaving says what the end of the server, or of an old generation, waits
// for. How long that has been going on is known since this page looks.
function showLeaving(tick, now) {
  const s = tick.status ?? {};
  const old = (s.generations ?? []).filter((g) => g.state === "ending");
  const clients = s.state === "ending" ? s.clients : old.reduce((n, g) => n + (g.workers ?? []).reduce((m, w) => m + (w.clients ?? 0), 0), 0);
  const key = s.state === "ending" ? "end" : old.length ? "generations " + old.map((g) => g.generation).join(" and ") : "";
  if (!key) {
    if (leaving) announce("Nothing is draining any more.");
    leaving = null;
  } else if (leaving?.key !== key) {
    leaving = { key, most: clients, since: now };
  }
  show(byId("leaving"), leaving !== null);
  if (!leaving) return;
  leaving.most = Math.max(leaving.most, clients, 1);
  const grace = s.leaving?.grace_seconds, elapsed = s.leaving?.elapsed_seconds ?? now - leaving.since;
  say(byId("leaving-title"), key === "end" ? "Draining: the server ends when its clients have left." : `Old ${key.replace("generations", old.length > 1 ? "generations" : "generation")} ends when its clients have left.`);
  say(byId("leaving-text"), `${count(clients)} of ${plural(leaving.most, "client", "clients")} still connected, after ${duration(Math.floor(elapsed))}${grace ? " of at most " + duration(grace) : ""}.`);
  byId("leaving-bar").value = 1 - clients / leaving.most;
}

function showStale(since) {
  const on = since !== null, strip = byId("stale");
  if (on) say(byId("stale-text"), since ? `No answer from the server. What is shown is of ${clock(since)}. Trying again…` : "No answer from the server. Trying again…");
  if (on && strip.hidden) announce("The server does not answer.");
  if (!on && !strip.hidden) announce("The server answers again.");
  show(strip, on);
  document.documentElement.classList.toggle("stale", on);
}

async function readSession() {
  try {
    const s = await renew();
    say(byId("host"), clean(s.name || "netserver", 80));
    version ??= s.version;
    show(byId("updated"), s.version !== version);
    document.documentElement.classList.toggle("write", s.write);
  } catch { /* the stream says that the server is away */ }
}

// route shows the view that the address names, and moves the focus there if
// somebody followed a link.
function route(moved) {
  view = location.hash === "#connections" ? "connections" : "overview";
  for (const name of ["overview", "connections"]) {
    show(byId("view-" + name), view === name);
    if (view === name) byId("nav-" + name).setAttribute("aria-current", "page");
    else byId("nav-" + name).removeAttribute("aria-current");
  }
  follow();
  if (moved) byId("main").focus({ preventScroll: true });
  if (view === "overview" && overview.tick) overview.show();
}

// follow reads the list of connections only while it is looked at.
function follow() {
  if (view === "connections" && !document.hidden) connections.start();
  else connections.stop();
}

const themes = ["auto", "light", "dark"];

function theme(name) {
  const root = document.documentElement, button = byId("theme");
  if (name === "auto") delete root.dataset.theme;
  else root.dataset.theme = name;
  say(button, name);
  button.setAttribute("aria-label", "Theme: " + (name === "auto" ? "as the system" : name));
  overview.draw();
}

function nextTheme() {
  const name = themes[(themes.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % themes.length];
  try {
    if (name === "auto") localStorage.removeItem("netserver-theme");
    else localStorage.setItem("netserver-theme", name);
  } catch { /* storage is off: until the page is closed */ }
  theme(name);
}

byId("theme").addEventListener("click", nextTheme);
theme(document.documentElement.dataset.theme ?? "auto");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => overview.draw());
document.addEventListener("visibilitychange", follow);
window.addEventListener("hashchange", () => route(true));
route(false);
new Live({ open: readSession, tick: takeTick, stale: showStale }).visible();
