// Questions and commands to the server.

export const session = { write: false, token: "", version: "", name: "" };

// ask returns the JSON of api/PATH, or throws what the server says against it.
export async function ask(path, options = {}) {
  const r = await fetch("api/" + path, { cache: "no-store", credentials: "same-origin", redirect: "error", ...options });
  let body = null;
  try {
    body = await r.json();
  } catch { /* said below */ }
  if (!r.ok || Array.isArray(body?.errors)) {
    const err = new Error(body?.errors?.length ? body.errors.join("; ") : "the server answered " + r.status);
    err.refused = r.status === 400; // what was asked for is not there
    throw err;
  }
  return body ?? {};
}

// tell carries out a command, which needs the token of this session.
export function tell(path, params) {
  return ask(path + "?" + new URLSearchParams(params), { method: "POST", headers: { "X-Netserver-Token": session.token } });
}

// renew reads the session: what may be done, and the token for it.
export async function renew() {
  const s = await ask("session");
  session.write = s.write === true;
  session.token = String(s.token ?? "");
  session.version = String(s.version ?? "");
  session.name = String(s.name ?? "");
  return session;
}
