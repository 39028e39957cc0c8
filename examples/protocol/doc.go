// Package protocol is a module of its own with two protocols for netserver,
// which is taken from a folder by the replace line in go.mod. Both are TLS
// below something else, and have what the engine's own TLS has: clients wait
// as bare sockets until their hello is whole, lines are bounded, changed files
// are read again, and clients whose certificate is revoked have to leave.
//
// Start with greeted.go, which stands on the engine's TLS. bare.go has the same
// with crypto/tls alone and shows which methods that takes. Give them to a
// server as Server.Protocols.
package protocol
