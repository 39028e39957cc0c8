// Elements, made without HTML text.
import { clean } from "./text.js";

// el makes an element: attrs are attributes or, for class and on..., what they
// say; children are nodes or texts.
export function el(name, attrs = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attrs)) {
    if (v === null || v === undefined || v === false) continue;
    if (k === "class") e.className = v;
    else if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children);
  return e;
}

export const byId = (id) => document.getElementById(id);

// say sets an element's text if it differs.
export function say(e, text) {
  text = clean(text, 1000);
  if (e.textContent !== text) e.textContent = text;
}

// show hides or shows an element.
export function show(e, on) {
  if (e.hidden === on) e.hidden = !on;
}

const announced = { text: "" };

// announce tells a screen reader, politely and not twice.
export function announce(text) {
  if (text === announced.text) return;
  announced.text = text;
  say(byId("announce"), text);
}
