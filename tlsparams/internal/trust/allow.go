package trust

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"netserver/access"
)

// A Kind is the part of a certificate that an allow list looks at.
type Kind string

const (
	KindCN    Kind = "cn"    // common name: exact
	KindOU    Kind = "ou"    // organizational unit: exact, any of several
	KindDNS   Kind = "dns"   // alternative name: exact, or a star as the first label
	KindEmail Kind = "email" // alternative name: exact, or @domain
	KindIP    Kind = "ip"    // alternative name: an address or a network
	KindURI   Kind = "uri"   // alternative name: * is one path element, ** at the end any number
	KindSPKI  Kind = "spki"  // public key: a pin, or sha256 in base64
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{KindCN, KindOU, KindDNS, KindEmail, KindIP, KindURI, KindSPKI}
}

// Allow lists whom to let in; a certificate that matches any entry may come.
// The zero Allow lets everyone in.
type Allow struct{ entries []entry }

type entry struct {
	kind  Kind
	text  string
	match func(*x509.Certificate) bool
}

// Add puts an entry on the list. The error follows the parameter's name.
func (a *Allow) Add(kind Kind, text string) error {
	text = strings.TrimSpace(text)
	if text == "" {
		return fmt.Errorf("has an empty entry")
	}
	m, err := matcher(kind, text)
	if err != nil {
		return err
	}
	a.entries = append(a.entries, entry{kind, text, m})
	return nil
}

// AddPin puts the certificates that p matches on the list.
func (a *Allow) AddPin(p Pin) { a.entries = append(a.entries, entry{"pin", p.String(), p.Matches}) }

// Empty tells whether the list lets everyone in.
func (a *Allow) Empty() bool { return len(a.entries) == 0 }

// Match returns the entry that lets c in, such as "cn ops".
func (a *Allow) Match(c *x509.Certificate) (string, bool) {
	for i := range a.entries {
		if e := &a.entries[i]; e.match(c) {
			return string(e.kind) + " " + e.text, true
		}
	}
	return "", false
}

func matcher(kind Kind, text string) (func(*x509.Certificate) bool, error) {
	switch kind {
	case KindCN:
		return func(c *x509.Certificate) bool { return c.Subject.CommonName == text }, noStar(text)
	case KindOU:
		return func(c *x509.Certificate) bool { return anyOf(c.Subject.OrganizationalUnit, text) }, noStar(text)
	case KindDNS:
		return dnsMatcher(text)
	case KindEmail:
		return emailMatcher(text)
	case KindIP:
		return ipMatcher(text)
	case KindURI:
		return uriMatcher(text)
	case KindSPKI:
		return spkiMatcher(text)
	}
	return nil, fmt.Errorf("is an unknown kind of name")
}

func noStar(text string) error {
	if strings.Contains(text, "*") {
		return fmt.Errorf("has %.100q: a star stands for nothing here, names must be equal", text)
	}
	return nil
}

func anyOf(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}

func ipMatcher(text string) (func(*x509.Certificate) bool, error) {
	prefix, err := access.ParseExactNetwork(text)
	switch {
	case errors.Is(err, access.ErrNoNetwork):
		return nil, fmt.Errorf("has %.100q, which is neither an address nor a network", text)
	case err != nil:
		return nil, fmt.Errorf("has %w", err)
	}
	return func(c *x509.Certificate) bool {
		for _, ip := range c.IPAddresses {
			if a, ok := toAddr(ip); ok && prefix.Contains(a) {
				return true
			}
		}
		return false
	}, nil
}

func toAddr(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip)
	return a.Unmap(), ok
}

// spkiMatcher takes a pin of the public key, or curl's and HPKP's
// sha256/BASE64.
func spkiMatcher(text string) (func(*x509.Certificate) bool, error) {
	b64 := strings.TrimPrefix(strings.TrimPrefix(text, "sha256//"), "sha256/")
	if raw, err := base64.StdEncoding.DecodeString(b64); err == nil && len(raw) == 32 {
		return Pin{algo: "sha256", pub: true, sum: string(raw)}.Matches, nil
	}
	p, err := ParsePin(text)
	if err != nil || p.Weak() {
		return nil, fmt.Errorf("has %.100q, which is no pin of a public key; write sha256$pub$HEX or sha256/BASE64", text)
	}
	p.pub = true
	return p.Matches, nil
}
