// Package proxy connects each client to a backend, a TCP port or a UNIX
// socket, with one connection per client. TLS ends here; the backend gets the
// plain bytes.
//
// Ends and errors are passed on faithfully. When one side ends its direction,
// the other side gets a FIN or close_notify, and the opposite direction goes
// on until it ends too. When one side stops reading, the other is not read
// from either: at most one buffer and the kernel's buffers are in flight. When
// one side breaks off, by a reset or a limit, the other gets a reset too (TCP)
// or no close_notify (TLS), so that a truncated answer never looks complete.
// On Unix systems, the proxy also notices when a side that has ended its
// direction leaves altogether.
//
// If the backend is down, its clients end, each with a record that names it
// and the reason: "proxy_to 127.0.0.1:6379: connection refused".
//
// A client of a datagram port has a session, with its own socket to the target:
// what the target sends there, at any time, is the client's. A session ends
// after Handler.SessionTimeout without a datagram, or when the target's system
// says that nobody is there.
//
// Of this module it imports netserver, proto, logs and internal/watch. Start reading at Handler.Serve
// (proxy.go); dial.go lists the steps of a connection to a target, and join.go
// copies between it and the client; session.go passes datagrams on.
package proxy
