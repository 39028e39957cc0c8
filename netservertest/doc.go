// Package netservertest helps to test servers, handlers and transports.
//
// Start runs a server on loopback with fresh certificates, one port for each
// protocol, and gives the clients to talk to it:
//
//	func TestGreeting(t *testing.T) {
//		for _, proto := range netservertest.Protos() {
//			t.Run(proto, func(t *testing.T) {
//				r := netservertest.Start(t, &netserver.Server{Handler: greeter}, proto)
//				c := r.Dial(t, proto)
//				...
//			})
//		}
//	}
//
// TestTransport and TestHandler are lists of cases that any transport and any
// handler has to pass, also those from outside this project. Peer and
// PerlModule skip a test whose peer program is missing, or fail it in CI. Main
// fails a test binary that leaves goroutines or descriptors behind.
//
// Only tests and measurements may import it; of this module it imports netserver,
// conf, logs, port and proto. Start reading at Start (start.go).
package netservertest
