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
// files. In all of it zero means the stated default, and a negative number or
// time means none: no limit, or not at all. Where there cannot be none, a
// negative one is an error when ports are opened, as are values that contradict
// each other. What a port says for itself (port.Spec.Params) goes before all
// this.
type Config struct {
	// Ports are the ports to open; default one TCP port, 20203, on all
	// addresses.
	Ports []port.Spec
	// Sock are the socket options of ports without their own.
	Sock sock.Options
	// TLS are the TLS parameters of ports without their own.
	TLS tlsparams.Params

	// Access says who may connect; default everybody.
	Access access.Config

	Timeouts  Timeouts  // how long a client may take
	Limits    Limits    // how many clients there may be, and how slow
	Admission Admission // who is served next, and who is not
	Proxy     Proxy     // PROXY headers
	Health    Health    // what says to balancers that the server serves
	Shutdown  Shutdown  // how long clients may go on when the server ends
	// QuietFrom are networks whose health checks no log has. A client from there
	// that leaves and has sent nothing is a probe: of a TLS port before its
	// handshake or after it, of any port after a PROXY header by which the sender
	// speaks for itself, even if it got a greeting (of up to 512 bytes) or reset
	// the connection. It is counted as outcome.Probe, its Record is Quiet, and
	// its line is at debug level. All else of these networks is logged as
	// ever. With a PROXY header that names a client, that client's address counts.
	QuietFrom []netip.Prefix
}

// Timeouts are how long a client may take for each stage of its life. They run
// whatever arrives meanwhile, but for Idle and Write.
type Timeouts struct {
	// ProxyHeader is the time from accept to the end of the PROXY header, on
	// ports that have one. Default 3 s.
	ProxyHeader time.Duration
	// FirstByte is the time from accept to the first byte of the TLS hello, on
	// TLS ports. Default: Handshake alone.
	FirstByte time.Duration
	// Hello is the time from that byte to the end of the hello. Default 5 s.
	Hello time.Duration
	// Handshake is the time from accept to the end of the handshake. Default
	// 10 s.
	Handshake time.Duration
	// FirstRequest is the time from the Handler's first read to the first byte
	// of a request. Default none.
	FirstRequest time.Duration
	// Idle cuts a client when no byte has passed in either direction for so
	// long. Default none.
	Idle time.Duration
	// Write cuts a client that takes no bytes of a Write for so long. Default
	// 60 s.
	Write time.Duration
	// Life is how long a client may be connected. Default none.
	Life time.Duration
}

// Limits are how many clients there may be at once, and how slow and how long-winded
// one may be.
type Limits struct {
	// MaxConns is how many clients may be connected, in any stage; further ones
	// wait in the backlog. Default: as many as the process has descriptors for.
	// A Handler that is proto.Descriptors says how many it opens for each client
	// beside its connection.
	MaxConns int
	// MaxServing is how many clients may be in the Handler. Further ones wait:
	// in the backlog, or, if they were accepted before, at StageHandler. Clients
	// whose handshake is not finished do not count, so a stalled one keeps
	// nobody out. Default none.
	MaxServing int
	// MaxDatagrams is how many datagrams of a port may be in the Handler;
	// further ones wait in the socket's buffer. Default 1024; it cannot be none.
	MaxDatagrams int

	// MaxLine bounds ReadLine and, where no limit is given, ReadUntil, in
	// bytes with the line's end. Default 64 KiB; it cannot be none.
	MaxLine int

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
	// looked at; then the next window begins. Default 10 s; it cannot be none.
	MinRateWindow time.Duration
}

// Admission decides who is served next and who is refused, so that no client
// can keep another one out. It counts the clients of all ports together; a port
// with its own MaxPerSource, MaxPerPrefix, ConnRate or DatagramRate (in
// port.Spec.Params) has that limit beside these, for its clients alone. A source
// is an IPv4 address or an IPv6 /64, a prefix an IPv4 /24 or an IPv6 /48.
type Admission struct {
	// NoQueue gives handshakes the CPU as they come. By default they have it in
	// turns, by source. The key is handshake_queue.
	NoQueue bool
	// Handshakes are how many may be unfinished at once. One more ends the oldest
	// of the source with the most, of that source, or of the source in the prefix
	// that has the most. Default of All: 16384, or three quarters of MaxConns if
	// that is less; of the others no limit but that. It cannot be given with
	// NoQueue.
	Handshakes Bounds

	// MaxPerSource and MaxPerPrefix are how many clients of one source and one
	// prefix may be connected at once; further ones are closed at accept.
	// Default: three quarters and seven eighths of MaxConns, where that is 64 or
	// more.
	MaxPerSource, MaxPerPrefix int
	// ConnRate is how many connections are accepted in a second; further ones
	// are closed. Default none.
	ConnRate Bounds
	// DatagramRate is how many datagrams are served in a second; further ones
	// are dropped. Default none.
	DatagramRate Bounds
	// MaxMemory is how many bytes connections may take, at 6 KiB for one that
	// waits or is plain and 12 KiB for one over TLS. Beyond it the handshake
	// that Handshakes would end is ended, or the newcomer refused. What the
	// Handler takes is not in it. Default: half of GOMEMLIMIT or of the
	// machine's memory.
	MaxMemory int64
	// Penalty is the penalty box.
	Penalty Penalty
	// Shadow refuses nothing for the limits above, the minimum rates and the
	// penalty box: what they would refuse is counted and logged.
	Shadow bool

	// DeferAccept lets the kernel keep a connection to a TLS port until the
	// client has sent something, or for so long, as long as many connections
	// are dead when they are accepted: a client that is reset before then costs
	// the server nothing and is not counted. Default 1 s. None accepts every
	// connection at once always, and so does a port whose handshake has less
	// than twice that time, one with PROXY headers, and a system other than
	// Linux or without SYN cookies.
	DeferAccept time.Duration
}

// Bounds are a limit on all together, on those of one source and on those of one
// prefix.
type Bounds struct{ All, PerSource, PerPrefix int }

// queueWords are the words for false and true of Admission.NoQueue.
var queueWords = []string{"fair", "none"}

// Penalty is the penalty box: the connections of a source that is in it are
// closed at accept.
type Penalty struct {
	// Points put a source into the box. A failed handshake, a denial and the
	// like are a point, a timeout in the handshake two; half of the points are
	// forgotten in a minute. Default no box: a balancer or a shared address is
	// one source, and a few of its clients could keep the others out. Datagrams
	// give nobody points: anyone can send them in another's name.
	Points int
	// Time is how long a source is in the box at first, twice as long each
	// further time, up to MaxTime. Default a minute and an hour; they cannot be
	// none.
	Time, MaxTime time.Duration
	// Exempt are never put into it.
	Exempt []netip.Prefix
	// Close cuts the clients that a source has when it is put into the box.
	Close bool
}

// Proxy says whether clients of stream ports begin with a PROXY header
// (versions 1 and 2), which tells whom a proxy forwards.
type Proxy struct {
	// Mode is whether there is a header; default ProxyOff.
	Mode ProxyMode
	// From are the senders whose headers are believed, and FromUnix believes
	// all clients of UNIX sockets. Headers of others are refused, and so is
	// another Mode than ProxyOff without any.
	From     []netip.Prefix
	FromUnix bool
}

// A ProxyMode says whether clients begin with a PROXY header.
type ProxyMode uint8

const (
	ProxyOff     ProxyMode = iota // none does
	ProxyRequire                  // each must
	ProxyAccept                   // some do. Whoever sends nothing for Timeouts.ProxyHeader has none
)

// String returns the word for m, as the key proxy_protocol has it.
func (m ProxyMode) String() string { return word(proxyWords, int(m)) }

var proxyWords = []string{"off", "require", "accept"}

// Shutdown is how the server ends when the context of Serve does.
type Shutdown struct {
	// Grace is how long clients may go on. Default 30 s; none cuts at once.
	Grace time.Duration
	// Spread is the time after Grace over which the clients that are still
	// there are cut, one after the other. Default a tenth of Grace, at most
	// 5 s; none cuts all at once.
	Spread time.Duration
}

// Health is what a TCP or UNIX port without TLS says to everybody who connects,
// instead of serving clients: it says it at once, and hangs up, as long as the
// server serves, for balancers that look after servers by connecting. Such a
// port is closed before the others when the server drains. Access rules that need
// no look-up and limits by source hold, max_connections does not; nobody becomes a
// client there, and no hook but Logged of those who are refused tells of them. It
// is meant for a port's own value (key health): no port would serve clients
// otherwise, which is an error.
type Health uint8

const (
	HealthOff  Health = iota // it serves clients
	HealthText               // "ok" and a newline
	HealthHTTP               // an answer of HTTP/1.0 with status 200, whatever is asked
)

// String returns the word for h, as the key health has it.
func (h Health) String() string { return word(healthWords, int(h)) }

var healthWords = []string{"0", "1", "http"}

// answer returns what is sent; nil for nothing.
func (h Health) answer() []byte {
	switch h {
	case HealthText:
		return []byte("ok\n")
	case HealthHTTP:
		return []byte("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nCache-Control: no-store\r\nConnection: close\r\n\r\nok\n")
	}
	return nil
}

// word returns the word for a value of an enumeration.
func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return "unknown"
}
