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
// # The life of a client
//
// A connection that is accepted is counted under its source first. One that is
// over a limit, or whose client has left already, is refused there: it is closed
// and counted, and nothing is allocated for it. Any other becomes a client, a
// [Conn], and passes through these stages, whatever its port speaks. Errors,
// records, hooks and counters use their names.
//
//  1. accept: the client takes its place in the handshake scheduler, if it will
//     shake hands, and Hooks.Accepted runs.
//  2. header: its PROXY header is read, on ports that have them, and from here
//     on it is who the header says. On such a port its place in the scheduler
//     comes after the next stage.
//  3. admit: rules for addresses; after a PROXY header, limits by source too.
//  4. handshake: the server waits for the client's hello, during which a client
//     is a bare socket; then, in its turn, its Transport makes the connection
//     usable. Where there is no handshake this does nothing.
//  5. access: what needs the handshake: certificates, names, Hooks.Allow.
//  6. handler: it waits for a place, if there are only so many, and the Handler
//     serves it, and may park it meanwhile (Conn.Park).
//  7. close: it is closed, what it held is given back, and its record is written.
//
// A client leaves the list at the first error, or when it is cut, and goes on
// with close. Its record tells the stage that it had reached.
//
// Accepting never waits for what a client does, so no client can keep another
// one out; it waits only while as many are connected, or in the Handler, as
// Config.Limits allows. What comes before the handshake runs in the accept loop
// where nothing of it can wait: there is no PROXY header, no hook wants to see
// the client, and handshakes take turns. A handshake runs on a pooled goroutine;
// what follows it, and whatever else can wait, on a goroutine of the client's
// own; those of datagrams are used again.
//
// When ctx ends the server stops accepting, lets its clients finish for
// Config.Shutdown.Grace, and cuts the rest.
//
// A datagram is a client too: its Conn reads one packet, then io.EOF, and each
// Write answers the sender with one packet. A Handler that is proto.Sessions has
// one Conn for all that a client sends.
//
// # Where to start reading
//
// client.go is the table of contents: routeOf lists the steps of a port's
// clients and advance takes a client along them. accept.go, header.go, admit.go,
// handshake.go and authorize.go have the stages, conn.go, lines.go and copy.go
// what a Handler does with a Conn, serve.go the life of a Serve. The package may
// import every package of this module but handlers, daemon and what stands on
// them.
package netserver
