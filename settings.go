package netserver

import (
	"time"

	"netserver/access"
	"netserver/conf"
	"netserver/internal/admit"
	"netserver/outcome"
)

// A setting is a row of the table of keys: a field of Config, the key that sets
// it, and what is told of it. Command line, environment, conf files, ports' own
// values, --help, docs/KEYS.md, the defaults, Monitor.Limits, the budget of --check and
// the names of limits in counters and logs follow from the table.
type setting struct {
	field string // of Config: "Sock.Backlog"
	key   string // "" if no key of its own sets it
	group string // that the key stands under in help
	arg   string
	when  conf.When // in which starts it has an effect
	help  string

	// The default is def, or what calc makes of the settings above it and the
	// machine; then help puts it in words. Without either there is no limit.
	def  any
	calc func(*effective, Handler) int64

	zero        written                   // what a 0 means that is written as the key's value
	least, most any                       // of what can be written; a default one if nil
	words       []string                  // of an enumeration, the default first
	bind        func(*Config) conf.Binder // if it is no number, time, word or boolean
	table       func(*Config, *conf.Set)  // instead of key: defines the keys of another package's table

	port    bool // a port may have its own value
	beside  bool // a port may have one of its own beside the Server's, which goes on to hold for all
	list    bool // the key may be given several times
	theirs  bool // the key is Net::Server's
	outside bool // another package fills in the default

	// Of a limit that Monitor.Limits tells of:
	unit   string
	use    func(*usage) float64             // what there is of it now; nil if that is not counted
	each   func(*listening) (float64, bool) // the same where each port has its own limit
	reason admit.Reason                     // what it refuses is counted as that
	ends   outcome.Class                    // what it ends is counted as that
	budget bool                             // its default depends on the machine
}

// What a written 0 means. In a Config zero is always the default and negative
// always none; keys that mean times and numbers can say none as well.
type written uint8

const (
	zeroIsDefault written = iota // which is no limit, where the two look the same
	zeroIsNone                   // "timeout_idle 0"
	zeroIsRefused                // somebody might mean by it no limit, or none let in
	noneIsRefused                // there is always a limit, from least on
)

const maxDuration = 100 * 365 * 24 * time.Hour

// The groups that keys stand under in help.
const (
	groupLimits    = "limits"
	groupAdmission = "admission"
	groupAccess    = "access"
	groupSockets   = "sockets"
	groupTLS       = "TLS"
)

const (
	keyProxyProtocol = "proxy_protocol"
	keyProxyFrom     = "proxy_protocol_from"
	keyRulesClose    = "rules_close"
	keyHealth        = "health"
	keyQuietFrom     = "quiet_from"
	keyMaxConns      = "max_connections"
	keyMaxServing    = "max_servers"
)

// The units of limits.
const (
	unitClients    = "clients"
	unitHandshakes = "handshakes"
	unitDatagrams  = "datagrams"
	unitPoints     = "points"
	unitBytes      = "bytes"
	unitSeconds    = "seconds"
	unitPerSecond  = "per second"
	unitByteRate   = "bytes per second"
)

// settings is the table, in the order of help. A row's default may depend on
// rows above it.
var settings = [...]setting{
	{field: "Ports"}, // several keys together make them: package port

	{field: "Limits.MaxConns", key: keyMaxConns, group: groupLimits, arg: "N", when: "listens stream", zero: zeroIsRefused, calc: connsByDescriptors,
		unit: unitClients, use: (*usage).clients, budget: true,
		help: "clients connected at once, in any stage; further ones wait in the backlog (default: as many as there are descriptors)"},
	{field: "Limits.MaxServing", key: keyMaxServing, group: groupLimits, arg: "N", when: "many", theirs: true,
		unit: unitClients, use: (*usage).serving,
		help: "clients served at once; clients still in their handshake do not count"},

	{field: "Admission.NoQueue", key: "handshake_queue", group: groupAdmission, arg: "fair|none", when: "listens handshake", words: queueWords,
		help: "fair: handshakes get the CPU in turns, by source; none: as they come"},
	{field: "Admission.Handshakes.All", key: "max_handshakes", group: groupAdmission, arg: "N", when: "listens handshake", zero: zeroIsRefused, calc: handshakesByConns,
		unit: unitHandshakes, use: (*usage).handshakes, reason: admit.OverHandshakes, budget: true,
		help: "handshakes unfinished at once; one more ends the oldest of the source with the most (default 16384; -1 is no limit)"},
	{field: "Admission.Handshakes.PerSource", key: "max_handshakes_per_source", group: groupAdmission, arg: "N", when: "listens handshake",
		unit: unitHandshakes, reason: admit.OverSourceHandshakes, budget: true,
		help: "the same, of one IPv4 address or IPv6 /64; with cluster at all servers together (default: no limit of its own)"},
	{field: "Admission.Handshakes.PerPrefix", key: "max_handshakes_per_prefix", group: groupAdmission, arg: "N", when: "listens handshake",
		unit: unitHandshakes, reason: admit.OverPrefixHandshakes, budget: true,
		help: "the same, of one IPv4 /24 or IPv6 /48; with cluster at all servers together (default: no limit of its own)"},
	{field: "Admission.MaxPerSource", key: "max_per_source", group: groupAdmission, arg: "N", beside: true, when: "listens tcp", zero: zeroIsRefused, calc: sourceByConns,
		unit: unitClients, use: (*usage).topSource, reason: admit.OverSource, budget: true,
		help: "clients of one IPv4 address or IPv6 /64 at once, with cluster at all servers together; further ones are closed (default: three quarters of max_connections)"},
	{field: "Admission.MaxPerPrefix", key: "max_per_prefix", group: groupAdmission, arg: "N", beside: true, when: "listens tcp", zero: zeroIsRefused, calc: prefixByConns,
		unit: unitClients, use: (*usage).topPrefix, reason: admit.OverPrefix, budget: true,
		help: "clients of one IPv4 /24 or IPv6 /48 at once, with cluster at all servers together; further ones are closed (default: seven eighths of max_connections)"},
	{field: "Admission.ConnRate.All", key: "connection_rate", group: groupAdmission, arg: "N", beside: true, when: "listens stream",
		unit: unitPerSecond, use: (*usage).connRate, reason: admit.OverRate,
		help: "connections a second; further ones are closed (default: no limit)"},
	{field: "Admission.ConnRate.PerSource", key: "connection_rate_per_source", group: groupAdmission, arg: "N", beside: true, when: "listens tcp",
		unit: unitPerSecond, reason: admit.OverSourceRate,
		help: "the same, of one IPv4 address or IPv6 /64 (default: no limit)"},
	{field: "Admission.ConnRate.PerPrefix", key: "connection_rate_per_prefix", group: groupAdmission, arg: "N", beside: true, when: "listens tcp",
		unit: unitPerSecond, reason: admit.OverPrefixRate,
		help: "the same, of one IPv4 /24 or IPv6 /48 (default: no limit)"},
	{field: "Admission.DatagramRate.All", key: "datagram_rate", group: groupAdmission, arg: "N", beside: true, when: "listens datagram",
		unit: unitPerSecond, use: (*usage).datagramRate, reason: admit.OverDatagramRate,
		help: "datagrams a second; further ones are dropped (default: no limit)"},
	{field: "Admission.DatagramRate.PerSource", key: "datagram_rate_per_source", group: groupAdmission, arg: "N", beside: true, when: "listens udp",
		unit: unitPerSecond, reason: admit.OverSourceDatagramRate,
		help: "the same, of one IPv4 address or IPv6 /64 (default: no limit)"},
	{field: "Admission.DatagramRate.PerPrefix", key: "datagram_rate_per_prefix", group: groupAdmission, arg: "N", beside: true, when: "listens udp",
		unit: unitPerSecond, reason: admit.OverPrefixDatagramRate,
		help: "the same, of one IPv4 /24 or IPv6 /48 (default: no limit)"},
	{field: "Admission.MaxMemory", key: "max_memory", group: groupAdmission, arg: "BYTES", when: "listens stream", zero: zeroIsRefused, calc: halfOfMemory,
		unit: unitBytes, use: (*usage).memory, reason: admit.OverMemory, budget: true,
		help: "that connections may take, at 6 KiB for one that waits or is plain and 12 KiB over TLS (default: half of GOMEMLIMIT or of the memory; -1 is no limit)"},
	{field: "Admission.Shadow", key: "limits_shadow", group: groupAdmission, arg: "0|1", when: "listens",
		help: "refuse nothing for these limits, the minimum rates and the penalty box, but count and log what they would refuse"},
	{field: "Admission.Penalty.Points", key: "penalty_points", group: groupAdmission, arg: "N", when: "listens tcp",
		unit: unitPoints, reason: admit.Penalised,
		help: "points that put a source into the penalty box, for failed handshakes, denials and timeouts; half are forgotten in a minute (default: no box, as clients behind one address would keep each other out)"},
	{field: "Admission.Penalty.Time", key: "penalty_time", group: groupAdmission, arg: "SECONDS", when: "listens penalty_points", def: time.Minute, zero: noneIsRefused, least: time.Second,
		help: "in the penalty box at first; twice as long each further time"},
	{field: "Admission.Penalty.MaxTime", key: "penalty_max_time", group: groupAdmission, arg: "SECONDS", when: "listens penalty_points", def: time.Hour, zero: noneIsRefused, least: time.Second,
		help: "in the penalty box at most"},
	{field: "Admission.Penalty.Exempt", key: "penalty_exempt", group: groupAdmission, arg: "NETWORKS", when: "listens penalty_points", list: true, bind: func(c *Config) conf.Binder { return prefixes{&c.Admission.Penalty.Exempt} },
		help: "addresses and networks that are never put into the penalty box, separated by commas or blanks"},
	{field: "Admission.Penalty.Close", key: "penalty_close", group: groupAdmission, arg: "0|1", when: "listens penalty_points",
		help: "cut the clients of a source that is put into the penalty box"},
	{field: "Health", key: keyHealth, group: groupAdmission, arg: "0|1|http", when: "listens", port: true, words: healthWords,
		help: "this port serves no clients, but tells balancers that the server serves: whoever connects gets ok (http: an HTTP answer, 200) and is hung up on, without a record; it is closed first when the server drains"},
	{field: "QuietFrom", key: keyQuietFrom, group: groupAdmission, arg: "NETWORKS", when: "listens tcp|proxy_protocol", port: true, list: true, bind: func(c *Config) conf.Binder { return prefixes{&c.QuietFrom} },
		help: "addresses and networks, separated by commas or blanks, whose health checks are counted and never logged below log_level 4: who connects, sends nothing (but TLS's handshake or a PROXY header of its own) and leaves, with or without a reset"},

	{field: "Limits.MaxDatagrams", key: "max_datagrams", group: groupLimits, arg: "N", when: "listens datagram apart", port: true, def: 1024, zero: noneIsRefused, least: 1,
		unit: unitDatagrams, each: (*listening).datagramsNow,
		help: "datagrams served at once on a port; further ones wait in the socket"},
	{field: "Limits.MaxLine", key: "max_line", group: groupLimits, arg: "N", when: "stream reads", port: true, def: 64 << 10, zero: noneIsRefused, least: 1,
		help: "bytes of the longest line that is read, with its end"},
	{field: "Timeouts.Handshake", key: "timeout_handshake", group: groupLimits, arg: "SECONDS", when: "handshake", port: true, def: 10 * time.Second, zero: zeroIsNone,
		unit: unitSeconds, ends: outcome.Handshake,
		help: "from accept to the end of the handshake, whatever arrives in between; 0 is no limit"},
	{field: "Admission.DeferAccept", key: "defer_accept", group: groupLimits, arg: "SECONDS", when: "listens tls linux", port: true, def: time.Second, zero: zeroIsNone,
		help: "that the kernel keeps a connection to a TLS port while the client says nothing, during a flood of resets (Linux); 0 is never"},
	{field: "Timeouts.FirstByte", key: "timeout_first_byte", group: groupLimits, arg: "SECONDS", when: "tls", port: true, zero: zeroIsNone,
		unit: unitSeconds, ends: outcome.FirstByte,
		help: "from accept to the first byte on a TLS port (default: timeout_handshake alone)"},
	{field: "Timeouts.Hello", key: "timeout_hello", group: groupLimits, arg: "SECONDS", when: "tls", port: true, def: 5 * time.Second, zero: zeroIsNone,
		unit: unitSeconds, ends: outcome.Hello,
		help: "from the first byte to the end of the client's TLS hello; 0 is no limit but timeout_handshake"},
	{field: "Timeouts.FirstRequest", key: "timeout_first_request", group: groupLimits, arg: "SECONDS", when: "stream watched", port: true, zero: zeroIsNone,
		unit: unitSeconds, ends: outcome.FirstRequest,
		help: "that a handler waits for the first byte of a request (default: no limit)"},
	{field: "Timeouts.Idle", key: "timeout_idle", group: groupLimits, arg: "SECONDS", when: "stream watched", port: true, zero: zeroIsNone,
		unit: unitSeconds, ends: outcome.Idle,
		help: "without a byte in either direction (default: no limit)"},
	// The kernel enforces this one, whoever writes to the socket (TCP_USER_TIMEOUT).
	{field: "Timeouts.Write", key: "timeout_write", group: groupLimits, arg: "SECONDS", when: "stream", port: true, def: 60 * time.Second, zero: zeroIsNone,
		unit: unitSeconds, ends: outcome.WriteStalled,
		help: "without the client taking a byte of what is written to it; 0 is no limit"},
	// Which of the two rates a client was below is in its record.
	{field: "Limits.MinReadRate", key: "min_read_rate", group: groupLimits, arg: "BYTES", when: "stream watched", port: true,
		unit: unitByteRate, ends: outcome.TooSlow,
		help: "bytes a second that must pass while the server waits for the client to send; silence is none (default: no limit)"},
	{field: "Limits.MinWriteRate", key: "min_write_rate", group: groupLimits, arg: "BYTES", when: "stream watched", port: true,
		unit: unitByteRate, ends: outcome.TooSlow,
		help: "bytes a second that a client must take while something waits to be sent to it (default: no limit)"},
	{field: "Limits.MinRateWindow", key: "min_rate_window", group: groupLimits, arg: "SECONDS", when: "min_read_rate|min_write_rate", port: true, def: 10 * time.Second, zero: noneIsRefused, least: 100 * time.Millisecond,
		help: "of such waiting, after which min_read_rate and min_write_rate are looked at"},
	{field: "Timeouts.Life", key: "timeout_life", group: groupLimits, arg: "SECONDS", when: "stream", port: true, zero: zeroIsNone,
		unit: unitSeconds, ends: outcome.MaxLife,
		help: "that a client may stay (default: no limit)"},
	{field: "Shutdown.Grace", key: "grace", group: groupLimits, arg: "SECONDS", when: conf.Always, def: 30 * time.Second, zero: zeroIsNone,
		unit: unitSeconds, ends: outcome.Cut,
		help: "that clients may go on when the server drains; 0 cuts them at once"},
	{field: "Shutdown.Spread", key: "grace_spread", group: groupLimits, arg: "SECONDS", when: conf.Always, calc: tenthOfGrace, zero: zeroIsNone, most: time.Hour,
		help: "after grace, over which those who are still there are cut one after the other, so that they are not all back at once; 0 at once (default: a tenth of grace, at most 5)"},

	{field: "Sock.Backlog", key: "listen", group: groupSockets, arg: "N", when: "listens stream", port: true, theirs: true, outside: true, zero: noneIsRefused, least: 0,
		help: "connections that may wait to be accepted (default: the system's limit)"},
	{field: "Sock.ReusePort", key: "reuse_port", group: groupSockets, arg: "0|1", when: "listens inet", port: true,
		help: "share the ports with other processes of the same user (SO_REUSEPORT)"},
	{field: "Sock.Freebind", key: "freebind", group: groupSockets, arg: "0|1", when: "listens inet linux", port: true,
		help: "open ports at addresses that no interface has yet, as on the standby of a pair of machines (IP_FREEBIND)"},
	{field: "Sock.KeepAlive", key: "tcp_keepalive", group: groupSockets, arg: "SECONDS", when: "tcp", port: true, outside: true, most: 32767 * time.Second,
		help: "silence after which the kernel probes a connection (default 15); -1 never"},
	{field: "Sock.UnixMode", key: "unix_mode", group: groupSockets, arg: "MODE", when: "listens unix", port: true, bind: func(c *Config) conf.Binder { return conf.FileMode(&c.Sock.UnixMode) },
		help: "permissions of UNIX sockets, octal (default: by the umask)"},
	{field: "Sock.UnixOwner", key: "unix_owner", group: groupSockets, arg: "USER", when: "listens unix", port: true,
		help: "owner of UNIX sockets, name or number"},
	{field: "Sock.UnixGroup", key: "unix_group", group: groupSockets, arg: "GROUP", when: "listens unix", port: true,
		help: "group of UNIX sockets, name or number"},
	{field: "Sock.UDPRecvLen", key: "udp_recv_len", group: groupSockets, arg: "BYTES", when: "listens datagram", port: true, theirs: true, outside: true, zero: noneIsRefused, least: 1, most: 65535,
		help: "longest datagram that is served (default 4096); longer ones are counted and logged"},
	{field: "Sock.UDPBroadcast", key: "udp_broadcast", group: groupSockets, arg: "0|1", when: "listens udp", port: true, theirs: true,
		help: "let UDP ports answer to broadcast addresses"},
	{field: "Sock.SendTimeout", outside: true}, // a port's Timeouts.Write

	{field: "Access.Rules", group: groupAccess, port: true, table: (*Config).defineAccess},
	{field: "Access.KeepOpen", key: keyRulesClose, group: groupAccess, arg: "0|1", when: "allow_file|deny_file|cidr_allow_file|cidr_deny_file", port: true, def: false, bind: func(c *Config) conf.Binder { return inverse{&c.Access.KeepOpen} },
		help: "when a file of rules changes, cut the connected clients whom it refuses now; 0 leaves them"},
	{field: "Access.Lookups.Timeout", key: "lookup_timeout", group: groupAccess, arg: "SECONDS", when: whenLookups, outside: true, def: access.DefaultLookups().Timeout, zero: noneIsRefused, least: time.Millisecond, most: time.Minute,
		help: "that a client waits for its name; then it has none"},
	{field: "Access.Lookups.TTL", key: "lookup_ttl", group: groupAccess, arg: "SECONDS", when: whenLookups, outside: true, def: access.DefaultLookups().TTL, zero: zeroIsNone,
		help: "that a name is used again; 0 never"},
	{field: "Access.Lookups.FailTTL", key: "lookup_fail_ttl", group: groupAccess, arg: "SECONDS", when: whenLookups, outside: true, def: access.DefaultLookups().FailTTL, zero: zeroIsNone,
		help: "that a look-up that found nothing is not repeated; 0 repeats it"},
	{field: "Access.Lookups.CacheSize", key: "lookup_cache", group: groupAccess, arg: "N", when: whenLookups, outside: true, def: access.DefaultLookups().CacheSize, most: 1 << 24,
		help: "names that are kept; none keeps no names"},
	{field: "Access.Lookups.MaxRunning", key: "lookup_concurrency", group: groupAccess, arg: "N", when: whenLookups, outside: true, def: access.DefaultLookups().MaxRunning, zero: noneIsRefused, least: 1, most: 1 << 16,
		help: "look-ups at once; one network has an eighth of them at most"},

	{field: "Proxy.Mode", key: keyProxyProtocol, group: groupAccess, arg: "off|require|accept", when: "stream", port: true, words: proxyWords,
		help: "whether clients of stream ports begin with a PROXY header (v1, v2), whose address counts from then on; accept: they may"},
	{field: "Proxy.From", key: keyProxyFrom, group: groupAccess, arg: "NETWORKS", when: "stream " + keyProxyProtocol, port: true, list: true, bind: func(c *Config) conf.Binder { return senders{&c.Proxy} },
		help: "whose PROXY headers are believed, separated by commas or blanks: ADDRESS, ADDRESS/BITS, or unix for UNIX sockets; others are refused"},
	{field: "Proxy.FromUnix"}, // the word unix of the key above
	{field: "Timeouts.ProxyHeader", key: "timeout_proxy_header", group: groupAccess, arg: "SECONDS", when: "stream " + keyProxyProtocol, port: true, def: 3 * time.Second, zero: zeroIsNone,
		unit: unitSeconds, ends: outcome.Header,
		help: "from accept to the end of the PROXY header, whatever arrives in between; 0 is no limit"},

	{field: "TLS", group: groupTLS, table: (*Config).defineTLS},
}

const whenLookups = "inet|proxy_protocol reverse_lookups|double_reverse_lookups"
