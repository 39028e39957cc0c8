// Package netserver is a server engine for every protocol other than HTTP. It
// listens on any number of TLS, TCP, UDP and UNIX ports at once and hands every
// client to one Handler.
//
//	s := &netserver.Server{
//		Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
//			_, err := io.Copy(c, c)
//			return err
//		}),
//	}
//	err := s.ListenAndServe(ctx)
//
// A client passes through the stages accept, admit, handshake, access, handler
// and close, whatever its port speaks; the function serve in client.go lists
// them. Accepting never waits for a client, so no client can keep another one
// out. When ctx ends the server stops accepting, lets its clients finish for
// Config.Grace, and cuts the rest.
//
// A datagram is a client too: its Conn reads one packet, then io.EOF, and each
// Write answers the sender with one packet.
package netserver
