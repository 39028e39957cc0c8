package port

import (
	"strings"

	"netserver/conf"
)

// A Spec is one port to listen on. The zero Spec is not usable; Parse and
// Resolve make usable ones. Specs are values: no method changes one, and all
// may be called concurrently.
type Spec struct {
	Host   string      // name or address without brackets, or "*"; unused for socket paths
	Port   string      // number, service name, or socket path
	Proto  string      // as written: tcp, udp, ssl, unix, unixssl, unixdgram, or the name of a registered protocol; "" is tcp
	IPv    string      // "4", "6" or "*"; "*" for socket paths; "" is "*"
	Params conf.Values // this port's own keys: listen, udp_recv_len, unix_type, SSL_...
	Origin conf.Origin // where the entry was given; zero if unknown
}

// The canonical names of the built-in protocols, as Kind returns them.
const (
	TCP       = "tcp"
	UDP       = "udp"
	SSL       = "ssl"
	Unix      = "unix"
	UnixSSL   = "unixssl"
	UnixDgram = "unixdgram"
)

// keyUnixType selects the kind of UNIX socket; its value in Params has one of
// these spellings.
const (
	keyUnixType = "unix_type"
	sockStream  = "sock_stream"
	sockDgram   = "sock_dgram"
)

// classPrefix begins the class names of Net::Server's own protocols, which its
// configuration files may use instead of the short names.
const classPrefix = "Net::Server::Proto::"

// Kind returns the canonical name of the protocol: one of TCP, UDP, SSL (for
// ssl, ssleay and tls), Unix, UnixSSL (for unixssl and unixtls) and UnixDgram
// (also for unix with unix_type sock_dgram), in any case; otherwise Proto unchanged, the name of a protocol
// that the program registered.
func (s Spec) Kind() string {
	k := canonical(s.Proto)
	if k == Unix && isDgram(s.Params.Get(keyUnixType)) {
		return UnixDgram
	}
	return k
}

// canonical maps the names of each built-in protocol to one.
func canonical(proto string) string {
	switch k := strings.ToLower(strings.TrimPrefix(proto, classPrefix)); k {
	case "":
		return TCP
	case TCP, UDP, Unix, UnixDgram:
		return k
	case SSL, "ssleay", "tls":
		return SSL
	case UnixSSL, "unixtls":
		return UnixSSL
	default:
		return proto
	}
}

// builtIn reports whether canonical knows the name.
func builtIn(proto string) bool {
	switch canonical(proto) {
	case TCP, UDP, SSL, Unix, UnixSSL, UnixDgram:
		return true
	}
	return false
}

// isDgram reports whether a unix_type means datagrams, by name or by the
// number of SOCK_DGRAM.
func isDgram(unixType string) bool {
	return strings.EqualFold(unixType, sockDgram) || unixType == "2"
}

// IsUnix reports whether Port is the path of a UNIX socket, as for unix,
// unixssl, unixdgram and every registered protocol with unix in its name.
func (s Spec) IsUnix() bool { return isUnix(s.Proto) }

// IsTLS reports whether the port speaks TLS, over TCP or over a UNIX socket. Of
// a registered protocol it is not known.
func (s Spec) IsTLS() bool {
	k := s.Kind()
	return k == SSL || k == UnixSSL
}

// IsDatagram reports whether the port is one for datagrams. Of a registered
// protocol it is not known.
func (s Spec) IsDatagram() bool {
	k := s.Kind()
	return k == UDP || k == UnixDgram
}

func isUnix(proto string) bool {
	return strings.Contains(strings.ToLower(proto), Unix)
}

// IsWildcard reports whether the port listens on every address of its family
// (of both, if IPv is "*") and no host was named.
func (s Spec) IsWildcard() bool {
	return !s.IsUnix() && (s.Host == "*" || s.Host == "" || s.Host == "::" && s.IPv != "4" && s.IPv != "6")
}

// Network is the network to open in package net's terms: "tcp" or "udp",
// followed by the 4 or 6 of the family unless IPv is "*", "unix" or
// "unixgram". It is "" for a registered protocol, which names its own.
func (s Spec) Network() string {
	var base string
	switch s.Kind() {
	case TCP, SSL:
		base = "tcp"
	case UDP:
		base = "udp"
	case Unix, UnixSSL:
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
// "[::1]:443/ssl/IPv6" or "/run/x.sock|sock_dgram|unix". Parse reads it back,
// except for what a text cannot hold: Origin, Params other than unix_type, and
// the Host of a socket path.
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

// proto is Proto, or the default if that is empty.
func (s Spec) proto() string {
	if s.Proto == "" {
		return TCP
	}
	return s.Proto
}

// Short returns the specification as in messages: "443/ssl",
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
		sep = "/" // only a slash may precede a name that is not built in
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
