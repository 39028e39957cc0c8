package netserver

import (
	"time"

	"netserver/access"
	"netserver/port"
	"netserver/sock"
	"netserver/tlsparams"
)

// Config holds values only, so that it can be printed, compared and read from
// files. Zero is the stated default everywhere; negative means none.
type Config struct {
	// Ports are the ports to open; default one TCP port, 20203, on all
	// addresses. A port's own parameters (Spec.Params) go before Sock and TLS.
	Ports []port.Spec
	// Sock are the socket options of ports without their own.
	Sock sock.Options
	// TLS are the TLS parameters of ports without their own.
	TLS tlsparams.Params

	// Access says who may connect; default everybody.
	Access access.Rules
	// Lookups bounds the look-ups of clients' names.
	Lookups access.LookupConfig

	// ProxyProtocol says whether clients of stream ports begin with a PROXY
	// header (versions 1 and 2), which tells whom a proxy forwards: ProxyOff,
	// the default; ProxyRequire; or ProxyAccept, where a client without one
	// is served as it is. Whoever is silent for ProxyHeaderTimeout is one.
	ProxyProtocol string
	// ProxyProtocolFrom are the senders whose headers are believed: ADDRESS,
	// ADDRESS/BITS, or unix for all clients of UNIX sockets. Headers of others
	// are refused, and so is ProxyProtocol without any.
	ProxyProtocolFrom []string
	// ProxyHeaderTimeout is the time from accept to the end of the header,
	// whatever arrives in between. Default 3 s.
	ProxyHeaderTimeout time.Duration

	// MaxConns is how many clients may be connected at once, in any stage;
	// further ones wait in the backlog. Default: no limit but the process's
	// descriptors.
	MaxConns int
	// MaxServing is how many clients may be in the Handler at once. Clients
	// whose handshake is not finished do not count, so a stalled one keeps
	// nobody out. Default: no limit.
	MaxServing int
	// MaxDatagrams is how many datagrams may be in the Handler at once;
	// further ones wait in the socket's buffer. Default 1024.
	MaxDatagrams int

	// HandshakeTimeout is the time from accept to the end of the handshake,
	// whatever arrives in between. Default 10 s.
	HandshakeTimeout time.Duration
	// IdleTimeout cuts a client when no byte has passed in either direction
	// for so long. Default none.
	IdleTimeout time.Duration
	// WriteTimeout cuts a client that takes no bytes of a Write for so long.
	// Default 60 s.
	WriteTimeout time.Duration
	// MaxLife is how long a client may be connected. Default none.
	MaxLife time.Duration
	// Grace is how long clients may go on when the server stops. Default
	// 30 s; negative cuts at once.
	Grace time.Duration

	// MaxLine bounds ReadLine and, where no limit is given, ReadUntil, in
	// bytes with the line's end. Default 64 KiB; it cannot be none.
	MaxLine int
}
