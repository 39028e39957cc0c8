// Package echo is an echo server: Net::Server's default one, which greets and
// answers line by line, or RFC 862's, which returns bytes unchanged.
//
// Net::Server's echo also takes commands from its clients: "exit" ends the
// server, "get NAME" and "dump" show its settings. Here only clients on the
// same machine may use them, unless Handler.AllowControl is set; see there
// about servers behind a forwarder. For other clients these are ordinary
// lines.
//
// Each datagram gets one datagram as its answer. One that claims to come from
// a service that would answer the answer (echo, daytime, chargen and the like,
// or the very port it was sent to) gets none, so that a forged sender cannot
// start an endless exchange between two servers.
//
// Of this module it imports netserver and access. Start reading at Handler.Serve
// (echo.go).
package echo
