package netserver

import (
	"net/netip"
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
	// RulesKeepOpen leaves clients alone who are connected when a file of
	// Access changes and the new rules would not let them in. By default they
	// are cut. The key is rules_close, which says the contrary.
	RulesKeepOpen bool
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

	// HandshakeQueue is "fair", the default, or "none": then handshakes take
	// the CPU as they come.
	HandshakeQueue string
	// MaxHandshakes is how many handshakes may be unfinished at once. One more
	// ends the oldest of the source with the most. Default 16384.
	MaxHandshakes int
	// MaxHandshakesPerSource is how many may be unfinished of one source: an
	// IPv4 address or an IPv6 /64. One more ends the oldest of them. Default:
	// no limit but MaxHandshakes.
	MaxHandshakesPerSource int

	// MaxHandshakesPerPrefix is the same of one network: an IPv4 /24 or an IPv6
	// /48. One more ends the oldest of the source there that has the most.
	MaxHandshakesPerPrefix int

	// MaxPerSource and MaxPerPrefix are how many clients of one source (an
	// IPv4 address, an IPv6 /64) and of one network (an IPv4 /24, an IPv6 /48)
	// may be connected at once; further ones are closed at accept. Default:
	// three quarters and seven eighths of MaxConns, where that is 64 or more.
	MaxPerSource, MaxPerPrefix int
	// ConnRate, ConnRatePerSource and ConnRatePerPrefix are how many
	// connections are accepted in a second; further ones are closed. Default:
	// no limit.
	ConnRate, ConnRatePerSource, ConnRatePerPrefix int
	// DatagramRate, DatagramRatePerSource and DatagramRatePerPrefix are how
	// many datagrams are served in a second; further ones are dropped. Default:
	// no limit.
	DatagramRate, DatagramRatePerSource, DatagramRatePerPrefix int
	// MaxMemory is how many bytes connections may take, at 6 KiB for one that
	// waits or is plain and 12 KiB for one over TLS. Beyond it the handshake
	// that MaxHandshakes would end is ended, or the newcomer refused. What the
	// Handler takes is not in it. Default: half of GOMEMLIMIT or of the
	// machine's memory.
	MaxMemory int64
	// LimitsShadow refuses nothing for the limits above, the minimum rates and
	// the penalty box: what they would refuse is counted and logged.
	LimitsShadow bool

	// PenaltyPoints is how many points put a source into the penalty box,
	// where its connections are closed at accept. A failed handshake, a denial
	// and the like are a point, a timeout in the handshake two; half of the
	// points are forgotten in a minute. Default no box: a balancer or a shared
	// address is one source, and a few of its clients could keep the others
	// out. Datagrams give nobody points: anyone can send them in
	// another's name.
	PenaltyPoints int
	// PenaltyTime is how long a source is in the box at first, twice as long
	// each further time, up to PenaltyMaxTime. Default a minute and an hour.
	PenaltyTime, PenaltyMaxTime time.Duration
	// PenaltyExempt are never put into it.
	PenaltyExempt []netip.Prefix
	// PenaltyClose cuts the clients that a source has when it is put into the
	// box.
	PenaltyClose bool

	// DeferAccept lets the kernel keep a connection to a TLS port until the
	// client has sent something, or for so long, as long as many connections
	// are dead when they are accepted: a client that is reset before then costs
	// the server nothing and is not counted. Seconds; default 1 s. Negative
	// accepts every connection at once always, and so does a port whose
	// handshake has less than twice that time, one with PROXY headers, and a
	// system other than Linux or without SYN cookies.
	DeferAccept time.Duration
	// FirstByteTimeout is the time from accept to the first byte of the hello,
	// on TLS ports. Default: HandshakeTimeout alone.
	FirstByteTimeout time.Duration
	// HelloTimeout is the time from that byte to the end of the hello. Default
	// 5 s.
	HelloTimeout time.Duration
	// FirstRequestTimeout is the time from the Handler's first read to the
	// first byte of a request. Default none.
	FirstRequestTimeout time.Duration

	// HandshakeTimeout is the time from accept to the end of the handshake,
	// whatever arrives in between. Default 10 s.
	HandshakeTimeout time.Duration
	// IdleTimeout cuts a client when no byte has passed in either direction
	// for so long. Default none.
	IdleTimeout time.Duration
	// WriteTimeout cuts a client that takes no bytes of a Write for so long.
	// Default 60 s.
	WriteTimeout time.Duration
	// MinReadRate is how many bytes a second the client must send while a read
	// of the Handler waits for it; what it takes meanwhile counts as well, but
	// silence does not. Time in which the Handler does not read is not charged.
	// Where clients may think, or wait for an answer while a read waits (a
	// proxy's always does), MinRateWindow must be longer than that. Default
	// none.
	MinReadRate int
	// MinWriteRate is how many bytes a second the client must take while a
	// write waits for it. Default none.
	MinWriteRate int
	// MinRateWindow is how much of such waiting adds up before the rate is
	// looked at; then the next window begins. Default 10 s.
	MinRateWindow time.Duration
	// MaxLife is how long a client may be connected. Default none.
	MaxLife time.Duration
	// Grace is how long clients may go on when the server stops. Default
	// 30 s; negative cuts at once.
	Grace time.Duration
	// GraceSpread is the time after Grace over which the clients that are
	// still there are cut, one after the other. Default a tenth of Grace, at
	// most 5 s; negative cuts all at once.
	GraceSpread time.Duration

	// MaxLine bounds ReadLine and, where no limit is given, ReadUntil, in
	// bytes with the line's end. Default 64 KiB; it cannot be none.
	MaxLine int
}
