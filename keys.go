package netserver

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"netserver/access"
	"netserver/conf"
	"netserver/port"
	"netserver/tlsparams"
)

// The groups that keys stand under in help.
const (
	groupLimits    = "limits"
	groupAdmission = "admission"
	groupAccess    = "access"
	groupSockets   = "sockets"
	groupTLS       = "TLS"
)

const maxDuration = 100 * 365 * 24 * time.Hour

// Define names the fields of c as keys of s, so that command line, environment
// and files can set them. c must be kept until s has been resolved. Ports are
// not among them: they come from several keys together, and package port reads
// those.
func (c *Config) Define(s *conf.Set) {
	c.defineLimits(s)
	c.defineSockets(s)
	c.defineAccess(s)
	c.defineProxyHeader(s)
	c.defineTLS(s)
}

// defineProxyHeader names what a port does about PROXY headers.
func (c *Config) defineProxyHeader(s *conf.Set) {
	define := func(k conf.Key, b conf.Binder) {
		k.Group, k.PerPort = groupAccess, true
		s.Define(k, b)
	}
	define(conf.Key{Name: keyProxyProtocol, When: "stream", Arg: "off|require|accept", Default: ProxyOff,
		Help: "whether clients of stream ports begin with a PROXY header (v1, v2), whose address counts from then on; accept: they may"},
		conf.Choice(&c.ProxyProtocol, ProxyOff, ProxyRequire, ProxyAccept))
	define(conf.Key{Name: keyProxyFrom, When: "stream " + keyProxyProtocol, Arg: "NETWORKS", List: true,
		Help: "whose PROXY headers are believed, separated by commas or blanks: ADDRESS, ADDRESS/BITS, or unix for UNIX sockets; others are refused"},
		senders{&c.ProxyProtocolFrom})
	define(conf.Key{Name: "timeout_proxy_header", When: "stream " + keyProxyProtocol, Arg: "SECONDS", Default: "3",
		Help: "from accept to the end of the PROXY header, whatever arrives in between; 0 is no limit"},
		zeroIsNone{conf.Seconds(&c.ProxyHeaderTimeout, -1*time.Second, maxDuration), &c.ProxyHeaderTimeout})
}

func (c *Config) defineAccess(s *conf.Set) {
	for _, k := range access.Keys() {
		s.Define(conf.Key{Name: k.Name, Group: groupAccess, Arg: k.Arg, Help: k.Help, List: k.List, When: k.When, Theirs: k.Theirs},
			conf.Func(func(v []conf.Value) error { c.Access.Set(k.Name, v); return nil }))
	}
	s.Define(conf.Key{Name: "rules_close", Group: groupAccess, When: "allow_file|deny_file|cidr_allow_file|cidr_deny_file", Arg: "0|1", Default: "1",
		Help: "when a file of rules changes, cut the connected clients whom it refuses now; 0 leaves them"},
		inverse{&c.RulesKeepOpen})
	l := &c.Lookups
	define := func(name, arg, def, help string, b conf.Binder) {
		s.Define(conf.Key{Name: name, Group: groupAccess, Arg: arg, Default: def, Help: help, When: "inet reverse_lookups|double_reverse_lookups"}, b)
	}
	define("lookup_timeout", "SECONDS", "5", "that a client waits for its name; then it has none", conf.Seconds(&l.Timeout, time.Millisecond, time.Minute))
	define("lookup_ttl", "SECONDS", "300", "that a name is used again; 0 never", zeroIsNone{conf.Seconds(&l.TTL, -1*time.Second, maxDuration), &l.TTL})
	define("lookup_fail_ttl", "SECONDS", "30", "that a look-up that found nothing is not repeated; 0 repeats it", zeroIsNone{conf.Seconds(&l.FailTTL, -1*time.Second, maxDuration), &l.FailTTL})
	define("lookup_cache", "N", "10000", "names that are kept; none keeps no names", conf.Int(&l.CacheSize, -1, 1<<24))
	define("lookup_concurrency", "N", "128", "look-ups at once; one network has an eighth of them at most", conf.Int(&l.MaxRunning, 1, 1<<16))
}

func (c *Config) defineLimits(s *conf.Set) {
	number := func(when conf.When, name, help string, p *int) {
		b := conf.Int(p, -1, math.MaxInt32)
		if name == "max_connections" {
			b = notZero{b}
		}
		s.Define(conf.Key{Name: name, Group: groupLimits, Arg: "N", Help: help, When: when, Theirs: name == "max_servers"}, b)
	}
	number("listens stream", "max_connections", "clients connected at once, in any stage; further ones wait in the backlog (default: as many as there are descriptors)", &c.MaxConns)
	number("many", "max_servers", "clients served at once; clients still in their handshake do not count", &c.MaxServing)
	c.defineAdmission(s)
	c.definePortLimits(s)
	s.Define(conf.Key{Name: "grace", Group: groupLimits, When: conf.Always, Arg: "SECONDS", Default: "30",
		Help: "that clients may go on when the server drains; 0 cuts them at once"},
		zeroIsNone{conf.Seconds(&c.Grace, -1*time.Second, maxDuration), &c.Grace})
	s.Define(conf.Key{Name: "grace_spread", Group: groupLimits, When: conf.Always, Arg: "SECONDS",
		Help: "after grace, over which those who are still there are cut one after the other, so that they are not all back at once; 0 at once (default: a tenth of grace, at most 5)"},
		zeroIsNone{conf.Seconds(&c.GraceSpread, -1*time.Second, time.Hour), &c.GraceSpread})
}

// definePortLimits names the limits that a port can have for itself.
func (c *Config) definePortLimits(s *conf.Set) {
	number := func(when conf.When, name, help string, p *int) {
		s.Define(conf.Key{Name: name, Group: groupLimits, Arg: "N", Help: help, PerPort: true, When: when}, conf.Int(p, 1, math.MaxInt32))
	}
	seconds := func(when conf.When, name, def, help string, p *time.Duration) {
		s.Define(conf.Key{Name: name, Group: groupLimits, Arg: "SECONDS", Default: def, Help: help, PerPort: true, When: when},
			zeroIsNone{conf.Seconds(p, -1*time.Second, maxDuration), p})
	}
	number("listens datagram", "max_datagrams", "datagrams served at once on a port; further ones wait in the socket (default 1024)", &c.MaxDatagrams)
	number("stream reads", "max_line", "bytes of the longest line that is read, with its end (default 65536)", &c.MaxLine)
	seconds("handshake", "timeout_handshake", "10", "from accept to the end of the handshake, whatever arrives in between; 0 is no limit", &c.HandshakeTimeout)
	seconds("listens tls linux", "defer_accept", "1", "that the kernel keeps a connection to a TLS port while the client says nothing, during a flood of resets (Linux); 0 is never", &c.DeferAccept)
	seconds("tls", "timeout_first_byte", "", "from accept to the first byte on a TLS port (default: timeout_handshake alone)", &c.FirstByteTimeout)
	seconds("tls", "timeout_hello", "5", "from the first byte to the end of the client's TLS hello; 0 is no limit but timeout_handshake", &c.HelloTimeout)
	seconds("stream watched", "timeout_first_request", "", "that a handler waits for the first byte of a request (default: no limit)", &c.FirstRequestTimeout)
	seconds("stream watched", "timeout_idle", "", "without a byte in either direction (default: no limit)", &c.IdleTimeout)
	// The kernel sees to this one, whoever writes to the socket (TCP_USER_TIMEOUT).
	seconds("stream", "timeout_write", "60", "without the client taking a byte of what is written to it; 0 is no limit", &c.WriteTimeout)
	rate := func(name, help string, p *int) {
		s.Define(conf.Key{Name: name, Group: groupLimits, Arg: "BYTES", Help: help, PerPort: true, When: "stream watched"}, conf.Int(p, -1, math.MaxInt32))
	}
	rate("min_read_rate", "bytes a second that must pass while the server waits for the client to send; silence is none (default: no limit)", &c.MinReadRate)
	rate("min_write_rate", "bytes a second that a client must take while something waits to be sent to it (default: no limit)", &c.MinWriteRate)
	s.Define(conf.Key{Name: "min_rate_window", Group: groupLimits, When: "min_read_rate|min_write_rate", Arg: "SECONDS", Default: "10", PerPort: true,
		Help: "of such waiting, after which min_read_rate and min_write_rate are looked at"},
		conf.Seconds(&c.MinRateWindow, 100*time.Millisecond, maxDuration))
	seconds("stream", "timeout_life", "", "that a client may stay (default: no limit)", &c.MaxLife)
}

// forPort returns the configuration with a port's own limits over it, and the
// port's other parameters.
func (c Config) forPort(p port.Spec) (Config, port.Spec, error) {
	if len(p.Params) == 0 {
		return c, p, nil
	}
	var s conf.Set
	c.definePortLimits(&s)
	c.defineProxyHeader(&s)
	limits, rest := make(conf.Values), make(conf.Values)
	for key, v := range p.Params {
		if _, ok := s.Lookup(key); ok {
			limits[key] = v
		} else {
			rest[key] = v
		}
	}
	p.Params = rest
	if err := s.Apply(limits); err != nil {
		return c, p, fmt.Errorf("port %s: %w", p.Short(), err)
	}
	return c, p, nil
}

// notZero binds a limit that has a default: 0 would be that, and neither no
// limit nor none let in, which are what somebody may mean by it.
type notZero struct{ conf.Binder }

// Set stores the limit.
func (n notZero) Set(vals []conf.Value) error {
	for _, v := range vals {
		if strings.Trim(v.Text, "0") == "" && v.Text != "" {
			p := v.Errorf("%q would be the default", v.Text)
			p.Hint = "write none for no limit, a number from 1, or leave it out"
			return p
		}
	}
	return n.Binder.Set(vals)
}

// zeroIsNone binds a time for which 0 means none when it is written down. In a
// Config 0 is the default, and none is negative.
type zeroIsNone struct {
	conf.Binder
	p *time.Duration
}

// Set stores the time.
func (z zeroIsNone) Set(vals []conf.Value) error {
	if err := z.Binder.Set(vals); err != nil {
		return err
	}
	if len(vals) > 0 && *z.p == 0 {
		*z.p = -1
	}
	return nil
}

func (c *Config) defineSockets(s *conf.Set) {
	define := func(when conf.When, name, arg, help string, b conf.Binder) {
		theirs := name == "listen" || name == "udp_recv_len" || name == "udp_broadcast"
		s.Define(conf.Key{Name: name, Group: groupSockets, Arg: arg, Help: help, PerPort: true, When: when, Theirs: theirs}, b)
	}
	o := &c.Sock
	define("listens stream", "listen", "N", "connections that may wait to be accepted (default: the system's limit)", conf.Int(&o.Backlog, 0, math.MaxInt32))
	define("listens inet", "reuse_port", "0|1", "share the ports with other processes of the same user (SO_REUSEPORT)", conf.Bool(&o.ReusePort))
	define("tcp", "tcp_keepalive", "SECONDS", "silence after which the kernel probes a connection (default 15); -1 never", conf.Seconds(&o.KeepAlive, -1*time.Second, 32767*time.Second))
	define("listens unix", "unix_mode", "MODE", "permissions of UNIX sockets, octal (default: by the umask)", conf.FileMode(&o.UnixMode))
	define("listens unix", "unix_owner", "USER", "owner of UNIX sockets, name or number", conf.String(&o.UnixOwner))
	define("listens unix", "unix_group", "GROUP", "group of UNIX sockets, name or number", conf.String(&o.UnixGroup))
	define("listens datagram", "udp_recv_len", "BYTES", "longest datagram that is served (default 4096); longer ones are counted and logged", conf.Int(&o.UDPRecvLen, 1, 65535))
	define("listens udp", "udp_broadcast", "0|1", "let UDP ports answer to broadcast addresses", conf.Bool(&o.UDPBroadcast))
}

func (c *Config) defineTLS(s *conf.Set) {
	for _, k := range tlsparams.Keys() {
		s.Define(conf.Key{
			Name: k.Name, Group: groupTLS, Arg: k.Arg, Help: k.Help,
			List: k.List, Map: k.Map, Secret: k.Secret, PerPort: true, When: k.When, Theirs: k.Theirs,
		}, conf.Func(func(v []conf.Value) error { return c.setTLS(k.Name, v) }))
	}
	refused := tlsparams.Refused()
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		s.Define(conf.Key{Name: name, Refuse: "it " + refused[name]}, nil)
	}
}

// setTLS hands one key to the TLS parameters.
func (c *Config) setTLS(name string, v []conf.Value) error {
	p, err := c.TLS.With(conf.Values{name: v})
	if err == nil {
		c.TLS = p
		return nil
	}
	var e *tlsparams.Error
	if errors.As(err, &e) {
		return &conf.Problem{Key: e.Key, Origin: e.Origin, Err: errors.New(e.Reason)}
	}
	return err
}

// inverse binds a boolean key to a field that says the contrary, so that the
// zero field is the key's default, 1.
type inverse struct{ p *bool }

// Set stores the contrary of the last value.
func (i inverse) Set(vals []conf.Value) error {
	yes := !*i.p
	if err := conf.Bool(&yes).Set(vals); err != nil {
		return err
	}
	*i.p = !yes
	return nil
}

// Texts returns the value as it would be written.
func (i inverse) Texts() []string {
	yes := !*i.p
	return conf.Bool(&yes).Texts()
}

// IsBool says that the key's name alone means 1.
func (i inverse) IsBool() bool { return true }
