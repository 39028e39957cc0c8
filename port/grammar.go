package port

import (
	"net/netip"
	"regexp"
	"strings"

	"netserver/conf"
)

// The words of a specification are cut out of its text one kind at a time, in
// Net::Server's order, because that order decides what an ambiguous text
// means. A separator is a run of [,|:/] and blanks after any other character.
// The capture before it replaces the look-behind that Go's regular expressions
// lack.
var (
	reUnixType = regexp.MustCompile(`(?i)([^,|\s\v:/])[,|\s\v:/]+(sock_stream|sock_dgram)\b`)
	reIPv      = regexp.MustCompile(`(?i)([^,|\s\v:/])[,|\s\v:/]+IPv([*\d]+)`)
	reProto    = regexp.MustCompile(`(?i)([^,|\s\v:/])[,|\s\v:/]+(tcp|udp|ssl|ssleay|tls|unix|unixssl|unixtls|unixdgram|\w+(?:::\w+)+)$`)
	reSlash    = regexp.MustCompile(`()/(\w+)$`)
	reHost     = regexp.MustCompile(`(?s)^(.*?)[,|\s\v:]+(\w+)$`)
	// reHyphen splits off a service such as http-alt after a host, which
	// Net::Server cannot.
	reHyphen = regexp.MustCompile(`(?s)^(.*?)[,|\s\v:]+(\w+(?:-\w+)+)$`)
	// reTail matches what may follow a word that is part of the specification
	// rather than of a socket path.
	reTail = regexp.MustCompile(`(?i)^(?:[,|\s\v:/]+(?:sock_stream|sock_dgram|IPv[*\d]+|tcp|udp|ssl|ssleay|tls|unix|unixssl|unixtls|unixdgram|\w+(?:::\w+)+))*$`)
	rePath = regexp.MustCompile(`^(?:[/.@]|[A-Za-z]:[\\/])`)
)

const (
	blanks     = " \t\n\v\f\r"
	separators = ",|:/" + blanks
)

// parts are the words of one entry before defaults and checks.
type parts struct {
	host, port, proto, ipv, unixType string

	hasHost bool   // the text has a place for the host; empty means "*"
	mapIPv  string // given by a map's key, which overrides any text
}

// split parses a text. proto is the default if the text names no protocol.
func split(text, proto string, o conf.Origin) (parts, error) {
	var p parts
	var err error
	text = strings.Trim(text, blanks)
	rest, path := text, rePath.MatchString(text)
	if p.unixType, rest, err = cutUnixType(rest, path, o); err != nil {
		return p, err
	}
	if p.ipv, rest, err = cutIPv(rest, path, o); err != nil {
		return p, err
	}
	p.proto, rest = cutProto(rest, path && isUnix(proto))
	if p.proto != "" {
		proto = p.proto
	}
	if isUnix(proto) {
		err = p.splitUnixHost(rest, path, o)
		return p, err
	}
	if text != "" && text[0] == '/' {
		return p, failf(o, "Could not determine port number from host [*]:%s: write %s", text, p.pathHint(text, rest))
	}
	if err := p.checkProtoWord(text, o); err != nil {
		return p, err
	}
	err = p.splitHost(rest, o)
	return p, err
}

// pathHint says how to write a text that begins as a socket path does.
func (p parts) pathHint(text, rest string) string {
	if canonical(p.proto) != SSL || rest == "" {
		return text + "|unix for a socket path"
	}
	if proto, before := cutProto(rest, true); isUnix(proto) && before != "" {
		rest = before
	}
	return rest + "|" + UnixSSL + " for TLS on a UNIX socket"
}

// cut finds the first word of re in text and returns it with the text before
// its separators and after it. In a socket path, a word with more path after
// it is a directory's name and is skipped.
func cut(re *regexp.Regexp, text string, path bool) (before, word, after string, ok bool) {
	for from := 0; ; {
		m := re.FindStringSubmatchIndex(text[from:])
		if m == nil {
			return text, "", "", false
		}
		begin, end := from+m[3], from+m[1]
		if !path || reTail.MatchString(text[end:]) {
			return text[:begin], text[from+m[4] : from+m[5]], text[end:], true
		}
		from = end - 1 // the last character may precede the next separator
	}
}

// cutUnixType takes the kind of UNIX socket out of text.
func cutUnixType(text string, path bool, o conf.Origin) (unixType, rest string, err error) {
	before, word, after, ok := cut(reUnixType, text, path)
	if !ok {
		return "", text, nil
	}
	if _, second, _, again := cut(reUnixType, before+after, path); again {
		return "", "", failf(o, "Invalid type for UNIX socket in %q: %s is a second one", text, second)
	}
	return strings.ToLower(word), before + after, nil
}

// cutIPv takes one or two IPv words out of text and joins what follows "IPv".
func cutIPv(text string, path bool, o conf.Origin) (ipv, rest string, err error) {
	rest = text
	for n := 1; ; n++ {
		before, word, after, ok := cut(reIPv, rest, path)
		switch {
		case !ok:
			return ipv, rest, nil
		case n == 3:
			err = failf(o, "Invalid ipv parameter - must contain 4, 6, or *: %q has a third one, IPv%s; two are enough for both families", text, word)
		case after != "" && !strings.ContainsAny(after[:1], separators):
			err = failf(o, "Invalid ipv parameter - must contain 4, 6, or *: %q goes on after IPv%s; write a separator there", text, word)
		default:
			_, err = readIPv(word, o)
		}
		if err != nil {
			return "", "", err
		}
		ipv, rest = ipv+word, before+after
	}
}

// cutProto removes the protocol from the end of text. With wholePath, the last
// element of a path is not taken for a protocol's name unless it is a known
// one.
func cutProto(text string, wholePath bool) (proto, rest string) {
	if m := reProto.FindStringSubmatchIndex(text); m != nil {
		return text[m[4]:m[5]], text[:m[3]]
	}
	if m := reSlash.FindStringSubmatchIndex(text); m != nil && !wholePath {
		return text[m[4]:m[5]], text[:m[0]]
	}
	return "", text
}

// splitHost splits the rest of a text into host and port.
func (p *parts) splitHost(rest string, o conf.Origin) error {
	p.port = rest
	m := reHost.FindStringSubmatch(rest)
	if m == nil {
		if m = reHyphen.FindStringSubmatch(rest); m == nil || !strings.ContainsFunc(m[2], isLetter) {
			return nil
		}
	}
	p.host, p.port, p.hasHost = m[1], m[2], true
	if isIPv6(rest) && !isIPv6(p.host) {
		// Net::Server reads ::1 as port 1 on every address.
		return failf(o, "Could not determine port number from %q: that is an IPv6 address; write [%s]:PORT", rest, rest)
	}
	return nil
}

// splitUnixHost takes the rest as a path. Only a wildcard may precede it.
func (p *parts) splitUnixHost(rest string, path bool, o conf.Origin) error {
	p.port = rest
	if path {
		return nil
	}
	m := reHost.FindStringSubmatch(rest)
	if m == nil {
		return nil
	}
	switch m[1] {
	case "", "*", "[]", "[*]":
		p.port, p.hasHost = m[2], true
		return nil
	}
	return failf(o, "Could not determine socket path from %q: a UNIX socket has no host; begin a path that contains separators or blanks with / or ./", rest)
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func isIPv6(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && a.Is6()
}
