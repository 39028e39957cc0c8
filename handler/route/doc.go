// Package route is a Handler of Handlers: it gives each client of a port to
// one of several, by the name that the client asks for (SNI), its protocol
// (ALPN), its certificate, its address, or the first bytes that it sends.
//
// The first route wins whose conditions all hold. On a TLS port a route can
// pass clients on undecrypted (Route.PassThrough): it is chosen by the hello,
// before any handshake. On a plain port the hello of a TLS client can be a
// condition as well; then the bytes go on as they came.
//
// Nothing is taken from the client: what was looked at is still there for the
// Handler that gets it. A client for whom there is no route ends with
// proto.ErrNoRoute, and one whose ClientHello cannot be read, or does not come to
// its end in time, with proto.ErrBadHello or ErrHelloTimeout, where a condition
// looks at it: it might be for another route than those for who sends none.
//
// Of this module it imports netserver, proto and internal/hello. Start reading
// at Handler.Serve (route.go); a kind of condition is a file: name.go (SNI and
// ALPN), from.go, cert.go, begins.go.
package route
