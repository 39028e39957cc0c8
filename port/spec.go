package port

import (
	"strings"

	"netserver/conf"
)

// A Spec is one port to listen on. The zero Spec is not usable; Parse and
// Resolve make usable ones. Specs are values: nothing here changes one, and
// their methods may be called concurrently.
type Spec struct {
	Host   string      // name or address without brackets, or "*"; unused for socket paths
	Port   string      // number, service name, or socket path
	Proto  string      // as written: tcp, udp, ssl, unix, unixdgram, or the name of a registered protocol; "" is tcp
	IPv    string      // "4", "6" or "*"; "*" for socket paths; "" is "*"
	Params conf.Values // keys given for this port alone: listen, udp_recv_len, unix_type, SSL_...
	Origin conf.Origin // where the entry was given; zero when not known
}

// The canonical names of the built-in protocols, as Kind returns them.
const (
	TCP       = "tcp"
	UDP       = "udp"
	SSL       = "ssl"
	Unix      = "unix"
	UnixDgram = "unixdgram"
)

// keyUnixType is the key that chooses between the two kinds of UNIX socket;
// Params hold its value in one of these spellings.
const (
	keyUnixType = "unix_type"
	sockStream  = "sock_stream"
	sockDgram   = "sock_dgram"
)

// classPrefix begins the class names of Net::Server's own protocols, which
// its configuration files may give in place of the short names.
const classPrefix = "Net::Server::Proto::"

// Kind returns the canonical name of the protocol: one of TCP, UDP, SSL (for
// ssl, ssleay and tls), Unix and UnixDgram (also for unix with unix_type
// sock_dgram), in any case; or else Proto unchanged, as the name under which
// a program registered a protocol of its own.
func (s Spec) Kind() string {
	k := canonical(s.Proto)
	if k == Unix && isDgram(s.Params.Get(keyUnixType)) {
		return UnixDgram
	}
	return k
}

// canonical maps the names of the built-in protocols to one name each.
func canonical(proto string) string {
	switch k := strings.ToLower(strings.TrimPrefix(proto, classPrefix)); k {
	case "":
		return TCP
	case TCP, UDP, Unix, UnixDgram:
		return k
	case SSL, "ssleay", "tls":
		return SSL
	default:
		return proto
	}
}

// builtIn reports whether canonical knows the name.
func builtIn(proto string) bool {
	switch canonical(proto) {
	case TCP, UDP, SSL, Unix, UnixDgram:
		return true
	}
	return false
}

// isDgram reports whether a unix_type asks for datagrams, by name or by the
// number of SOCK_DGRAM.
func isDgram(unixType string) bool {
	return strings.EqualFold(unixType, sockDgram) || unixType == "2"
}

// IsUnix reports whether Port is the path of a UNIX socket. That is so for
// unix, unixdgram and every registered protocol with unix in its name.
func (s Spec) IsUnix() bool { return isUnix(s.Proto) }

func isUnix(proto string) bool {
	return strings.Contains(strings.ToLower(proto), Unix)
}

// IsWildcard reports whether the port listens on every address of its family
// (of both, if IPv is "*") and no host was named.
func (s Spec) IsWildcard() bool {
	return !s.IsUnix() && (s.Host == "*" || s.Host == "" || s.Host == "::" && s.IPv != "4" && s.IPv != "6")
}

// Network names the socket to open, as package net does: "tcp" or "udp" with
// the 4 or 6 of the family appended unless IPv is "*", "unix" or "unixgram".
// It is "" for a registered protocol, which names its own.
func (s Spec) Network() string {
	var base string
	switch s.Kind() {
	case TCP, SSL:
		base = "tcp"
	case UDP:
		base = "udp"
	case Unix:
		return "unix"
	case UnixDgram:
		return "unixgram"
	default:
		return ""
	}
	if s.IPv == "4" || s.IPv == "6" {
		return base + s.IPv
	}
	return base
}

// String returns the specification in full, such as "127.0.0.1:443/ssl/IPv4",
// "[::1]:443/ssl/IPv6" or "/run/x.sock|sock_dgram|unix". Parse reads it back
// equal, but for what a text cannot hold: Origin, Params other than unix_type,
// and the Host of a socket path.
func (s Spec) String() string {
	if s.IsUnix() {
		return s.unixString(true)
	}
	ipv := s.IPv
	if ipv == "" {
		ipv = "*"
	}
	return s.hostString() + ":" + s.Port + "/" + s.proto() + "/IPv" + ipv
}

// proto is Proto, or what an empty one means.
func (s Spec) proto() string {
	if s.Proto == "" {
		return TCP
	}
	return s.Proto
}

// Short returns the specification as messages name it: "443/ssl",
// "127.0.0.1:443/ssl", "/run/x.sock|unix". A wildcard of one family shows it:
// "443/ssl/IPv6".
func (s Spec) Short() string {
	switch {
	case s.IsUnix():
		return s.unixString(false)
	case !s.IsWildcard():
		return s.hostString() + ":" + s.Port + "/" + s.proto()
	case s.IPv == "4" || s.IPv == "6":
		return s.Port + "/" + s.proto() + "/IPv" + s.IPv
	default:
		return s.Port + "/" + s.proto()
	}
}

func (s Spec) hostString() string {
	switch {
	case s.Host == "":
		return "*"
	case strings.Contains(s.Host, ":"):
		return "[" + s.Host + "]"
	default:
		return s.Host
	}
}

func (s Spec) unixString(full bool) string {
	sep := "|"
	if !builtIn(s.Proto) && !strings.Contains(s.Proto, "::") {
		sep = "/" // only a slash may stand before a name that is not built in
	}
	t := s.Params.Get(keyUnixType)
	switch {
	case t == "" || !full && s.Kind() == canonical(s.Proto):
		t = ""
	case isDgram(t):
		t = "|" + sockDgram
	default:
		t = "|" + sockStream
	}
	return s.Port + t + sep + s.Proto
}
