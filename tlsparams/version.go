package tlsparams

import (
	"crypto/tls"
	"strings"
)

// Versions is a set of TLS versions, bit n standing for TLS 1.n.
type versions uint8

// AllVersions are those that crypto/tls has, OldVersions those before TLS 1.2.
const (
	allVersions     versions = 0b1111
	defaultVersions versions = 0b1100
	oldVersions     versions = 0b0011
)

// Bit is the set of one version.
func bit(v uint16) versions { return 1 << (v - tls.VersionTLS10) }

// Has tells whether v is in the set.
func (s versions) Has(v uint16) bool {
	return v >= tls.VersionTLS10 && v <= tls.VersionTLS13 && s&bit(v) != 0
}

// Min returns the lowest version, 0 of an empty set.
func (s versions) Min() uint16 {
	for v := uint16(tls.VersionTLS10); v <= tls.VersionTLS13; v++ {
		if s.Has(v) {
			return v
		}
	}
	return 0
}

// Max returns the highest version, 0 of an empty set.
func (s versions) Max() uint16 {
	for v := uint16(tls.VersionTLS13); v >= tls.VersionTLS10; v-- {
		if s.Has(v) {
			return v
		}
	}
	return 0
}

// Hole tells whether the set skips a version between its ends, which a
// tls.Config cannot say.
func (s versions) Hole() bool {
	for v := s.Min(); v < s.Max(); v++ {
		if !s.Has(v) {
			return true
		}
	}
	return false
}

// Best returns the highest version that the client offers too, or 0.
func (s versions) Best(offered []uint16) uint16 {
	best := uint16(0)
	for _, v := range offered {
		if s.Has(v) && v > best {
			best = v
		}
	}
	return best
}

// ParseVersions reads IO::Socket::SSL's SSL_version: items joined by ':', each
// a version or '!' and a version to leave out; at most one is positive. SSLv23
// means any. An empty text is the default here, as a value that asks for
// nothing must not bring old versions back.
func parseVersions(text string) (versions, string) {
	if text == "" {
		return defaultVersions, ""
	}
	set, without, positive, exact := allVersions, versions(0), false, false
	for _, item := range strings.Split(text, ":") {
		name, negative := strings.CutPrefix(strings.TrimSpace(item), "!")
		v, ok := versionName(name)
		if !ok {
			return 0, "names no TLS version with " + quote(item) + "; versions are TLSv1, TLSv1_1, TLSv1_2, TLSv1_3 and SSLv23 for any"
		}
		switch {
		case negative:
			without |= v
		case positive:
			return 0, "names more than one version; write SSLv23 and the unwanted ones with '!', such as SSLv23:!TLSv1:!TLSv1_1"
		case v == 0:
			return 0, "asks for " + name + ", which is broken and not possible with Go's crypto/tls; use TLSv1_2 or TLSv1_3"
		default:
			set, positive, exact = v, true, v != allVersions
		}
	}
	if !exact {
		set &^= without
	}
	if set == 0 {
		return 0, "leaves no version"
	}
	return set, ""
}

// versionName returns the set for one name; SSLv2 and SSLv3 are known and
// empty.
func versionName(name string) (versions, bool) {
	switch strings.ReplaceAll(strings.ToLower(name), "_", "") {
	case "sslv23", "sslv2/3":
		return allVersions, true
	case "sslv2", "sslv3":
		return 0, true
	case "tlsv1", "tlsv10":
		return bit(tls.VersionTLS10), true
	case "tlsv11":
		return bit(tls.VersionTLS11), true
	case "tlsv12":
		return bit(tls.VersionTLS12), true
	case "tlsv13":
		return bit(tls.VersionTLS13), true
	}
	return 0, false
}

// Quote is %q for text from outside, cut short.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		s = s[:most] + "..."
	}
	return "\"" + strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s) + "\""
}
