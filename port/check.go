package port

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"netserver/conf"
)

var (
	reHostText = regexp.MustCompile(`^(?:[\w/.\-:]+(?:%[\w.\-]+)?|\*?)$`)
	reClass    = regexp.MustCompile(`^\w+(?:::\w+)*$`)
	reNotClass = regexp.MustCompile(`(?i)^(?:(?:ip)?v[46*]+|IPv\d.*|\d+|sock_stream|sock_dgram|.*::\d.*)$`)
	reService  = regexp.MustCompile(`^\w+(?:-\w+)*$`)
	reRange    = regexp.MustCompile(`^\d+\s*(?:-|\.\.)\s*\d+$`)
	reDigits   = regexp.MustCompile(`^\d+$`)
	reIPvNoise = regexp.MustCompile(`(?i)(?:ip)?v|[,|\s\v:/]`)
	reIPvGood  = regexp.MustCompile(`^[46*]*$`)
)

// readHost removes the IPv words and the brackets from a host.
func readHost(v conf.Value) (host, ipv string, err error) {
	ipv, host, err = cutIPv(v.Text, false, v.Origin)
	if err != nil {
		return "", "", err
	}
	bare := host
	if len(bare) >= 2 && bare[0] == '[' && bare[len(bare)-1] == ']' {
		bare = bare[1 : len(bare)-1]
	}
	if !reHostText.MatchString(bare) {
		return "", "", failf(v.Origin, "Could not determine host from %q: write a name, an address, an IPv6 address in brackets, or *", host)
	}
	if bare == "" {
		bare = "*"
	}
	return bare, ipv, nil
}

// readProto removes the IPv words from a protocol. An empty one is tcp.
func readProto(v conf.Value) (proto, ipv string, err error) {
	ipv, proto, err = cutIPv(v.Text, false, v.Origin)
	if err != nil {
		return "", "", err
	}
	if proto == "" {
		proto = TCP
	}
	if !reClass.MatchString(proto) || reNotClass.MatchString(proto) {
		return "", "", failf(v.Origin, "Could not determine proto from %q: write tcp, udp, ssl, unix, unixssl, unixdgram or the name of a registered protocol", proto)
	}
	return proto, ipv, nil
}

// checkProtoWord refuses a word in a protocol's position that cannot be one,
// with a better reason than readProto gives.
func (p parts) checkProtoWord(text string, o conf.Origin) error {
	switch {
	case p.proto == "" || !reNotClass.MatchString(p.proto):
		return nil
	case reDigits.MatchString(p.proto):
		host := strings.TrimSuffix(text, "/"+p.proto)
		if reDigits.MatchString(host) || strings.ContainsAny(host, "/,| ") {
			host = "HOST"
		}
		return failf(o, "Could not determine port number from host [*]:%s: a slash does not separate host and port; write %s:%s", text, host, p.proto)
	case strings.Contains(p.proto, "::"):
		return failf(o, "Could not determine proto from %q in %q: write an IPv6 address in brackets", p.proto, text)
	default:
		return failf(o, "Could not determine proto from %q in %q: write IPv4 or IPv6 for a family, and that only once", p.proto, text)
	}
}

// A wanted says which families an ipv text requests.
type wanted struct{ four, six, any bool }

// readIPv reads an ipv in any of its forms: 4, IPv6, v4v6, "IPv4 IPv6", *.
// Nothing at all is "*".
func readIPv(text string, o conf.Origin) (wanted, error) {
	left := reIPvNoise.ReplaceAllString(text, "")
	if !reIPvGood.MatchString(left) || left == "" && text != "" {
		return wanted{}, failf(o, "Invalid ipv parameter - must contain 4, 6, or *: %q; write IPv4, IPv6, IPv* or both IPv4 and IPv6", text)
	}
	return wanted{
		four: strings.Contains(left, "4"),
		six:  strings.Contains(left, "6"),
		any:  left == "" || strings.Contains(left, "*"),
	}, nil
}

// reJoined matches what stands before the last of several ports that somebody has
// joined by commas, and no host: 9301/tcp.
var reJoined = regexp.MustCompile(`^[^/]*[0-9]/[a-zA-Z]`)

// checkHost refuses hosts with valid characters that make no sense.
func checkHost(s Spec, o conf.Origin) error {
	switch {
	case reJoined.MatchString(s.Host):
		return failf(o, "Unresolveable [%s]:%s: commas do not join ports; give each of them separately, as in --port 9301/tcp --port 9302/ssl", s.Host, s.Port)
	case strings.Contains(s.Host, "/"):
		return failf(o, "Unresolveable [%s]:%s: a host has no slash; write HOST:PORT", s.Host, s.Port)
	case reDigits.MatchString(s.Host) && strings.Trim(s.Host, "0") != "":
		return failf(o, "Could not determine host from %q: that is a number; write HOST:PORT/PROTO, and give each further port separately", s.Host)
	case strings.ContainsAny(s.Host, ":%"):
		a, err := netip.ParseAddr(s.Host)
		if err != nil {
			if _, err := netip.ParseAddrPort(s.Host); err == nil {
				return failf(o, "Unresolveable [%s]:%s: that is an address with a port; write --port %s", s.Host, s.Port, s.Host)
			}
			return failf(o, "Unresolveable [%s]:%s: %q is neither a name nor an IPv6 address", s.Host, s.Port, s.Host)
		}
		if a.Zone() != "" && !a.IsLinkLocalUnicast() {
			return failf(o, "Could not determine host from %q: only a link-local address (fe80::) has a zone", s.Host)
		}
	}
	return nil
}

// checkPort accepts numbers up to 65535 and possible service names.
func checkPort(s Spec, o conf.Origin) error {
	why := ""
	switch {
	case reDigits.MatchString(s.Port):
		if n, err := strconv.ParseUint(s.Port, 10, 64); err == nil && n <= 65535 {
			return nil
		}
		why = "the highest port is 65535"
	case reService.MatchString(s.Port) && strings.ContainsFunc(s.Port, isLetter) && !reNotClass.MatchString(s.Port):
		return nil
	default:
		why = whyNotPort(s.Port)
	}
	return failf(o, "Could not determine port number from host [%s]:%s: %s", s.Host, s.Port, why)
}

func whyNotPort(port string) string {
	bare := strings.Trim(port, "[]")
	_, err := netip.ParseAddr(bare)
	before, after, slash := strings.Cut(port, "/")
	switch {
	case slash && builtIn(after):
		return "write one protocol only"
	case slash && reService.MatchString(after):
		return "a slash does not separate host and port; write " + before + ":" + after
	case slash:
		return "a slash does not separate host and port; write HOST:PORT"
	case reRange.MatchString(port[strings.LastIndex(port, ":")+1:]):
		return "list each port of a range separately"
	case err == nil || bare == "*" || bare == "":
		return "that is a host without a port; write " + port + ":PORT"
	default:
		return "write a number up to 65535 or the name of a service"
	}
}

// checkPath accepts socket paths that the system can bind and that survive
// String and Parse.
func checkPath(s Spec, o conf.Origin) error {
	path := s.Port
	again, err := split(path+"|unix", "", o)
	switch {
	case path == "" || path == "0":
		return failf(o, "Could not determine socket path for %s: write PATH|unix", s.Proto)
	case len(path) > maxPath:
		return failf(o, "Insecure filename: socket path %q has %d bytes; the system takes %d", path, len(path), maxPath)
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return failf(o, "Insecure filename: socket path %q has a control character", path)
	case err != nil || again.port != path || again.hasHost || again.unixType != "" || again.ipv != "":
		return failf(o, "Insecure filename: socket path %q has a part that reads as something else; begin it with / or ./ and end it with another word", path)
	}
	return nil
}

// checkUnixType accepts the two kinds of UNIX socket, in any case or as
// numbers, for protocols on UNIX sockets.
func checkUnixType(v conf.Value, s Spec) error {
	switch {
	case !s.IsUnix():
		return failf(v.Origin, "Invalid type for UNIX socket (%s): %s is not a UNIX socket; write PATH|%s|unix", v.Text, s.Proto, v.Text)
	case canonical(s.Proto) == UnixDgram && !isDgram(v.Text):
		return failf(v.Origin, "Invalid type for UNIX socket (%s): unixdgram means SOCK_DGRAM; write unix", v.Text)
	case canonical(s.Proto) == UnixSSL && isDgram(v.Text):
		return failf(v.Origin, "Invalid type for UNIX socket (%s): TLS is for connections; write unixdgram for datagrams without it", v.Text)
	case isDgram(v.Text) || strings.EqualFold(v.Text, sockStream) || v.Text == "1":
		return nil
	default:
		return failf(v.Origin, "Invalid type for UNIX socket (%s)... must be SOCK_STREAM or SOCK_DGRAM", v.Text)
	}
}
