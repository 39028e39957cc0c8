// Confirmations and details, in the one dialog of the page. The browser keeps
// the focus inside while it is open, closes it on Escape, and gives it back.
import { announce, byId, el, say } from "./dom.js";
import { clean } from "./text.js";
import { tell } from "./api.js";

const dialog = byId("dialog");

// open shows a dialog. buttons are {name, kind, press}, where press may return a
// promise; while that is pending nothing can be pressed, and what it throws is
// shown. Without press, or when it succeeds, the dialog closes.
export function open(title, body, buttons) {
  say(byId("dialog-title"), title);
  say(byId("dialog-error"), "");
  byId("dialog-body").replaceChildren(...body);
  byId("dialog-buttons").replaceChildren(...buttons.map((b) => {
    const e = el("button", { type: "button", class: b.kind ?? "", autofocus: b.first }, b.name);
    e.addEventListener("click", () => press(b));
    return e;
  }));
  byId("dialog-form").onsubmit = (e) => {
    e.preventDefault();
    press(buttons.find((b) => b.kind === "danger") ?? buttons[0]);
  };
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("[autofocus]")?.focus();
}

async function press(b) {
  if (!b.press) return dialog.close();
  const all = [...byId("dialog-buttons").children];
  for (const e of all) e.disabled = true;
  try {
    if ((await b.press()) !== "stay") dialog.close();
  } catch (err) {
    say(byId("dialog-error"), err.message);
  } finally {
    for (const e of all) e.disabled = false;
  }
}

// confirmKill asks, and ends one connection.
export function confirmKill(c, done) {
  const body = el("p", {}, "The connection of ", bold(c.peer || "a client"), c.peer_name ? " (" + clean(c.peer_name) + ")" : "", " to ", bold(c.port), " is cut at once. The client may connect again.");
  open("End connection " + clean(c.id) + "?", [body], [
    { name: "Cancel", first: true },
    { name: "End connection", kind: "danger", press: async () => {
      await tell("kill", { id: c.id });
      announce("Connection " + clean(c.id) + " was ended.");
      done?.();
    } },
  ]);
}

function bold(text) {
  const b = el("b"), i = el("bdi");
  i.textContent = clean(text);
  b.append(i);
  return b;
}

const times = [["600", "10 minutes"], ["3600", "1 hour"], ["86400", "1 day"], ["604800", "7 days"]];

// confirmBan asks for a network and a time, and puts it into the penalty box.
export function confirmBan(network) {
  const input = el("input", { type: "text", id: "ban-network", maxlength: "100", autocomplete: "off", spellcheck: "false", required: true });
  input.value = clean(network, 100);
  const time = el("select", { id: "ban-time" }, ...times.map(([v, name]) => el("option", { value: v }, name)));
  const body = [
    el("p", {}, "New connections from there are refused at accept. Those that are open stay."),
    el("div", { class: "fields" },
      el("label", { for: "ban-network" }, "Address or network"), input,
      el("label", { for: "ban-time" }, "For"), time),
  ];
  open("Ban a network", body, [
    { name: "Cancel", first: network !== "" },
    { name: "Ban", kind: "danger", press: async () => {
      const n = input.value.trim();
      if (n === "") throw new Error("Give an address or a network, such as 192.0.2.0/24.");
      await tell("penalties/add", { network: n, seconds: time.value });
      announce(n + " is banned.");
    } },
  ]);
  if (network === "") input.focus();
}

// confirmLift asks, and takes a network out of the penalty box.
export function confirmLift(network) {
  open("Lift the penalty?", [el("p", {}, "Clients of ", bold(network), " can connect again at once.")], [
    { name: "Cancel", first: true },
    { name: "Lift", press: async () => {
      await tell("penalties/lift", { network });
      announce(clean(network) + " was taken out of the penalty box.");
    } },
  ]);
}
