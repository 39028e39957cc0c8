// Package proto holds what one port speaks below the handler: the Transport
// interface and the built-in ones, a file each. Of this module it imports port,
// sock and tlsparams, and nothing of the engine, which looks for the interfaces
// here.
//
// Start with transport.go. What a Transport can do beside that stands in
// capability.go, what its connections can in connection.go; TLS, in tls.go, has
// all of it. The module examples/protocol is a protocol from outside.
package proto
