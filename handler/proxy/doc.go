// Package proxy joins each client to a connection of its own to a backend: a
// TCP port or a UNIX socket. What the client speaks, TLS or not, ends here; the
// backend gets the plain bytes.
//
// The joint is exact. When one side ends its direction the other side is told
// so, by FIN or close_notify, and the other direction goes on until it ends
// too. A side that takes no bytes is not read from for the other: at most one
// buffer and what the kernel holds are under way. When one side breaks off, by
// a reset or a limit, the other gets a reset as well (TCP) or no close_notify
// (TLS), so that no half answer looks like a whole one. A side that has ended
// its direction and then leaves altogether is noticed, on Unix systems.
//
// A backend that is down ends its clients, each with a record that names it
// and the reason: "proxy_to 127.0.0.1:6379: connection refused".
//
// A datagram is passed on from a new UDP port, so that the backend's answers
// find their way; see Handler.Answers.
package proxy
