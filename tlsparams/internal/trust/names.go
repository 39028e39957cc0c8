package trust

import (
	"crypto/x509"
	"fmt"
	"strings"
)

func dnsMatcher(text string) (func(*x509.Certificate) bool, error) {
	rest, wild := strings.CutPrefix(text, "*.")
	if strings.Contains(rest, "*") || rest == "" {
		return nil, fmt.Errorf("has %.100q: a star can only stand for the whole first label, as in *.example.com", text)
	}
	if why := wrongHost(rest); why != "" {
		return nil, fmt.Errorf("has %.100q, which no certificate can match: %s", text, why)
	}
	return func(c *x509.Certificate) bool {
		for _, n := range c.DNSNames {
			if wild {
				label, after, ok := strings.Cut(n, ".")
				// A certificate for *.example.com is not one for a name in it.
				if ok && label != "" && label != "*" && strings.EqualFold(after, rest) {
					return true
				}
			} else if strings.EqualFold(n, text) {
				return true
			}
		}
		return false
	}, nil
}

func emailMatcher(text string) (func(*x509.Certificate) bool, error) {
	local, domain, ok := strings.Cut(text, "@")
	if !ok || domain == "" || strings.Contains(text, "*") {
		return nil, fmt.Errorf("has %.100q: write user@example.com, or @example.com for all of a domain", text)
	}
	why := wrongHost(domain)
	if strings.Contains(domain, "@") || !isPlain(local) {
		why = "the part before the @ is not an address's"
	}
	if why != "" {
		return nil, fmt.Errorf("has %.100q, which no certificate can match: %s", text, why)
	}
	return func(c *x509.Certificate) bool {
		for _, n := range c.EmailAddresses {
			at := strings.LastIndexByte(n, '@')
			if at > 0 && strings.EqualFold(n[at+1:], domain) && (local == "" || n[:at] == local) {
				return true
			}
		}
		return false
	}, nil
}

// wrongHost says why no certificate can have the host name, or "". Certificates
// have names in ASCII (RFC 5280, 4.2.1.6), without a dot at the end.
func wrongHost(name string) string {
	switch {
	case len(name) > 253:
		return "it is longer than 253 bytes"
	case strings.HasSuffix(name, "."):
		return "write the name without the dot at its end"
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return "a part of the name is empty"
		case len(label) > 63:
			return "a part of the name is longer than 63 bytes"
		}
		for i := range len(label) {
			switch c := label[i]; {
			case c >= 0x80:
				return "write an international name in its ASCII form, which begins with xn--"
			case c != '-' && c != '_' && !isAlnum(c):
				return fmt.Sprintf("%q cannot stand in a host name", c)
			}
		}
	}
	return ""
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// isPlain reports whether s is ASCII without blanks and control characters.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
