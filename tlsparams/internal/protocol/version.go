package protocol

import (
	"crypto/tls"
	"strings"
)

// Versions is a set of TLS versions, bit n standing for TLS 1.n.
type Versions uint8

// AllVersions are those that crypto/tls has, OldVersions those before TLS 1.2.
const (
	AllVersions     Versions = 0b1111
	defaultVersions Versions = 0b1100
	OldVersions     Versions = 0b0011
)

// Bit is the set of one version.
func Bit(v uint16) Versions { return 1 << (v - tls.VersionTLS10) }

// Has tells whether v is in the set.
func (s Versions) Has(v uint16) bool {
	return v >= tls.VersionTLS10 && v <= tls.VersionTLS13 && s&Bit(v) != 0
}

// Min returns the lowest version, 0 of an empty set.
func (s Versions) Min() uint16 {
	for v := uint16(tls.VersionTLS10); v <= tls.VersionTLS13; v++ {
		if s.Has(v) {
			return v
		}
	}
	return 0
}

// Max returns the highest version, 0 of an empty set.
func (s Versions) Max() uint16 {
	for v := uint16(tls.VersionTLS13); v >= tls.VersionTLS10; v-- {
		if s.Has(v) {
			return v
		}
	}
	return 0
}

// Hole tells whether the set skips a version between its ends, which a
// tls.Config cannot say.
func (s Versions) Hole() bool {
	for v := s.Min(); v < s.Max(); v++ {
		if !s.Has(v) {
			return true
		}
	}
	return false
}

// Best returns the highest version that the client offers too, or 0.
func (s Versions) Best(offered []uint16) uint16 {
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
func ParseVersions(text string) (Versions, string) {
	if text == "" {
		return defaultVersions, ""
	}
	set, without, positive, exact := AllVersions, Versions(0), false, false
	for _, item := range strings.Split(text, ":") {
		name, negative := strings.CutPrefix(strings.TrimSpace(item), "!")
		v, ok := versionName(name)
		if !ok {
			return 0, "names no TLS version with " + Quote(item) + "; versions are TLSv1, TLSv1_1, TLSv1_2, TLSv1_3 and SSLv23 for any"
		}
		switch {
		case negative:
			without |= v
		case positive:
			return 0, "names more than one version; write SSLv23 and the unwanted ones with '!', such as SSLv23:!TLSv1:!TLSv1_1"
		case v == 0:
			return 0, "asks for " + name + ", which is broken and not possible with Go's crypto/tls; use TLSv1_2 or TLSv1_3"
		default:
			set, positive, exact = v, true, v != AllVersions
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
func versionName(name string) (Versions, bool) {
	switch strings.ReplaceAll(strings.ToLower(name), "_", "") {
	case "sslv23", "sslv2/3":
		return AllVersions, true
	case "sslv2", "sslv3":
		return 0, true
	case "tlsv1", "tlsv10":
		return Bit(tls.VersionTLS10), true
	case "tlsv11":
		return Bit(tls.VersionTLS11), true
	case "tlsv12":
		return Bit(tls.VersionTLS12), true
	case "tlsv13":
		return Bit(tls.VersionTLS13), true
	}
	return 0, false
}

// Quote is %q for text from outside, cut short.
func Quote(s string) string {
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
