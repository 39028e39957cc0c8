// The outcomes of clients, in groups that an operator acts on differently, and
// what each means. The order is that of the chart, bottom up.

export const groups = [
  { id: "served", name: "served", hint: "the handler was done with them, or they left" },
  { id: "probe", name: "probes", hint: "connected and left without a byte: health checks and scanners" },
  { id: "limit", name: "over a limit", hint: "refused or ended for what their source, network or the server has" },
  { id: "rule", name: "denied", hint: "refused by a rule, or for their certificate or the name they asked for" },
  { id: "tls", name: "protocol error", hint: "no TLS came about for the client's reasons, or its header or request is malformed" },
  { id: "slow", name: "too slow", hint: "a deadline or a minimum rate ended them" },
  { id: "fault", name: "faults", hint: "the handler, a target or the operator ended them" },
];

const table = {
  "served": ["served", "the handler returned without an error"],
  "left": ["served", "the client left while it was served"],
  "challenge": ["served", "a certificate authority has seen the answer to its challenge"],
  "probe": ["probe", "connected and left without a byte"],
  "over limit": ["limit", "refused at accept, for what its source or network has"],
  "shed": ["limit", "ended to keep within the limits of handshakes, memory or sessions"],
  "penalised": ["limit", "refused at accept, from the penalty box"],
  "denied": ["rule", "refused by a rule or by the program"],
  "no route": ["rule", "none of the routes of its port was for it"],
  "unknown name": ["rule", "asked for a name that no certificate is for"],
  "no certificate": ["rule", "showed no certificate where one is required"],
  "bad certificate": ["rule", "showed a certificate that is not trusted"],
  "proxy header": ["tls", "PROXY header missing, malformed or late"],
  "not tls": ["tls", "speaks something else than TLS"],
  "bad hello": ["tls", "its hello cannot be read"],
  "no common version": ["tls", "no TLS version in common"],
  "no common suite": ["tls", "no cipher suite or curve in common"],
  "no common protocol": ["tls", "no ALPN protocol in common"],
  "alert": ["tls", "the client refused the handshake, mostly for the server's certificate"],
  "reset": ["tls", "left in its handshake"],
  "handshake error": ["tls", "the handshake failed otherwise"],
  "bad request": ["tls", "broke the rules of the port's protocol"],
  "first byte timeout": ["slow", "sent no first byte in time"],
  "hello timeout": ["slow", "did not end its hello in time"],
  "handshake timeout": ["slow", "did not end its handshake in time"],
  "first request timeout": ["slow", "sent no request in time"],
  "idle timeout": ["slow", "sent and took nothing for too long"],
  "write timeout": ["slow", "took no bytes for too long"],
  "too slow": ["slow", "stayed below the minimum rate"],
  "life timeout": ["slow", "was connected for too long"],
  "slow receiver": ["slow", "had more waiting for it than its handler allows"],
  "handler error": ["fault", "the handler returned an error"],
  "panic": ["fault", "the handler panicked: a bug"],
  "no target": ["fault", "no target of its backend could be reached"],
  "target failed": ["fault", "its target broke off the connection"],
  "cut": ["fault", "the server stopped, or its generation's grace ended"],
  "killed": ["fault", "ended by an operator"],
};

// groupOf returns the id of an outcome's group; one that is not known, from a
// newer server, counts as a fault, so that it is seen.
export function groupOf(outcome) {
  return Object.hasOwn(table, outcome) ? table[outcome][0] : "fault";
}

export function meaning(outcome) {
  return Object.hasOwn(table, outcome) ? table[outcome][1] : "";
}
