package route

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// A Wire is what the clients of a port speak, as far as it matters for what
// conditions can say of them.
type Wire uint8

// The kinds of ports.
const (
	WireTCP     Wire = iota // clients have addresses; what they send first is looked at as it comes
	WireUnix                // the same without addresses
	WireTLS                 // what they send first is what TLS has decrypted
	WireUnixTLS             // the same without addresses
	WireUDP
)

// Warnings names routes that no client of a port can reach: those before them
// have all of theirs, or their own conditions contradict each other.
func (h *Handler) Warnings(w Wire) (list []string) {
	h.once.Do(h.build)
	s := shadows{h: h, wire: w, decides: len(h.Routes)}
	for i := range h.Routes {
		if slices.ContainsFunc(h.Routes[i].When, func(c Condition) bool { return c.kind().decrypted() }) {
			s.decides = i
			break
		}
	}
	for j := range h.Routes {
		r := &h.Routes[j]
		if why := s.contradiction(r); why != "" {
			list = append(list, fmt.Sprintf("route %s is never reached: %s", h.name(j), why))
			continue
		}
		switch by := s.before(j); len(by) {
		case 0:
		case 1:
			list = append(list, fmt.Sprintf("route %s is never reached: route %s before it takes all of its clients", h.name(j), h.name(by[0])))
		default:
			names := make([]string, len(by))
			for n, i := range by {
				names[n] = h.name(i)
			}
			list = append(list, fmt.Sprintf("route %s is never reached: routes %s before it take all of its clients", h.name(j), strings.Join(names, ", ")))
		}
	}
	return list
}

// shadows finds routes that no client reaches.
type shadows struct {
	h       *Handler
	wire    Wire
	decides int // the first route that wants to know what comes after the handshake
}

// before returns the routes before the j-th that take all of its clients: one,
// or several of which each has some of the values of one condition.
func (s *shadows) before(j int) []int {
	r := &s.h.Routes[j]
	if i := s.coveredBy(r, j); i >= 0 {
		return []int{i}
	}
	for n, c := range r.When {
		var by []int
		for _, one := range c.each() {
			part := *r
			part.When = slices.Clone(r.When)
			part.When[n] = one
			i := s.coveredBy(&part, j)
			if i < 0 {
				by = nil
				break
			}
			if !slices.Contains(by, i) {
				by = append(by, i)
			}
		}
		if len(by) > 0 {
			slices.Sort(by)
			return by
		}
	}
	return nil
}

// coveredBy returns a route before the j-th that takes all clients of o; -1 if
// there is none.
func (s *shadows) coveredBy(o *Route, j int) int {
	for i := range s.h.index.candidates(o.anyName()) {
		if i >= j {
			break
		}
		if s.covers(i, o) {
			return i
		}
	}
	return -1
}

// anyName returns one of the names that a route is for, as the index has it: a
// route that takes all of its clients is for that one as well, or for any. A
// wildcard stands for itself.
func (r *Route) anyName() string {
	for _, c := range r.When {
		if c.kind() != kindSNI {
			continue
		}
		n := c.(*names)
		for name := range n.exact {
			return name
		}
		for rest := range n.wild {
			return "*" + rest
		}
	}
	return ""
}

// covers reports whether the i-th route takes every client that o, after it,
// would.
func (s *shadows) covers(i int, o *Route) bool {
	r := &s.h.Routes[i]
	if s.isTLS() && r.PassThrough && !o.PassThrough && s.decides < i {
		return false // an earlier route may have the client decrypted, and not take it then
	}
	for _, c := range r.When {
		if s.isTLS() && o.PassThrough && c.kind().decrypted() {
			continue // the client is decrypted for it, and then not o's whatever comes
		}
		if !s.everybody(c) && !slices.ContainsFunc(o.When, func(d Condition) bool { return s.implies(d, c) }) {
			return false
		}
	}
	return true
}

// everybody reports whether a condition holds for all clients of the port.
func (s *shadows) everybody(c Condition) bool {
	switch c := c.(type) {
	case from:
		return s.wire != WireUnix && s.wire != WireUnixTLS && c.has(netip.PrefixFrom(netip.IPv4Unspecified(), 0)) && c.has(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	case *begins:
		return slices.ContainsFunc(c.texts, matchesAll)
	}
	return false
}

// implies reports whether c holds for everybody for whom d does.
func (s *shadows) implies(d, c Condition) bool {
	if c.kind() == d.kind() {
		return c.covers(d)
	}
	// Who has a name or a protocol, as a plain port sees it, begins with TLS.
	b, ok := c.(*begins)
	return ok && s.isPlain() && d.kind().inHello() && slices.ContainsFunc(b.forms, func(m form) bool { return m.looks != nil && !m.line && m.looks([]byte(tlsHead)) == Yes })
}

func (s *shadows) isTLS() bool   { return s.wire == WireTLS || s.wire == WireUnixTLS }
func (s *shadows) isPlain() bool { return s.wire == WireTCP || s.wire == WireUnix }

// contradiction says why no client of the port can meet all conditions of r; ""
// if one can.
func (s *shadows) contradiction(r *Route) string {
	for _, c := range r.When {
		if !s.isPlain() || !c.kind().inHello() {
			continue
		}
		for _, d := range r.When {
			if b, ok := d.(*begins); ok && !slices.ContainsFunc(b.forms, func(m form) bool { return m.looks != nil && m.looks([]byte(tlsHead)) != No }) {
				return fmt.Sprintf("%s is known of clients that begin with TLS, and these have %s", c.kind(), b)
			}
		}
	}
	return ""
}

// tlsHead is how a hello begins that is read.
const tlsHead = "\x16\x03\x01\x00\x80\x01"

// inHello reports whether a condition is about a TLS hello, where nothing is
// decrypted.
func (k kind) inHello() bool { return k == kindSNI || k == kindALPN }

// matchesAll reports whether a value is an expression that holds for every text.
func matchesAll(value string) bool {
	switch value {
	case "/.*/", "/^/", "/$/", "/^.*/", "/.*$/", "/^.*$/", "/(.*)/", "/^(.*)$/", "//":
		return true
	}
	return false
}

// matchesNames reports whether it holds for every text of one line that is not
// empty.
func matchesNames(value string) bool {
	switch value {
	case "/./", "/.+/", "/^./", "/^.+/", "/.+$/", "/.$/", "/^.+$/", "/^(.+)$/":
		return true
	}
	return matchesAll(value)
}

func (n *names) covers(o Condition) bool {
	m := o.(*names)
	if slices.ContainsFunc(n.exprs, func(p pattern) bool { return matchesNames(p.text) }) {
		return !m.exact[""] || n.exact[""]
	}
	for name := range m.exact {
		if !n.matches(name) {
			return false
		}
	}
	for rest := range m.wild {
		if !n.wild[rest] && !slices.ContainsFunc(n.exprs, func(p pattern) bool { return endsWith(p.text, rest) }) {
			return false
		}
	}
	for _, p := range m.exprs {
		if !slices.ContainsFunc(n.exprs, func(q pattern) bool { return q.text == p.text }) {
			return false
		}
	}
	return true
}

// endsWith reports whether an expression holds for all names with that end.
func endsWith(expr, end string) bool {
	quoted := regexp.QuoteMeta(end)
	return expr == "/"+quoted+"$/" || expr == "/"+quoted+"/"
}

func (n *names) each() (list []Condition) {
	if len(n.exact)+len(n.wild)+len(n.exprs) < 2 {
		return nil
	}
	for name := range n.exact {
		list = append(list, &names{k: n.k, exact: map[string]bool{name: true}})
	}
	for rest := range n.wild {
		list = append(list, &names{k: n.k, wild: map[string]bool{rest: true}})
	}
	for _, p := range n.exprs {
		list = append(list, &names{k: n.k, exprs: []pattern{p}})
	}
	return list
}

func (c *cert) covers(o Condition) bool { return c.names.covers(&o.(*cert).names) }

func (c *cert) each() (list []Condition) {
	for _, one := range c.names.each() {
		list = append(list, &cert{*one.(*names), c.of})
	}
	return list
}

func (n from) covers(o Condition) bool {
	return !slices.ContainsFunc(o.(from), func(p netip.Prefix) bool { return !n.has(p) })
}

// has reports whether all of p is in one of the networks, or in several of them
// together.
func (n from) has(p netip.Prefix) bool {
	parts := false
	for _, q := range n {
		if q.Bits() <= p.Bits() && q.Contains(p.Addr()) {
			return true
		}
		parts = parts || p.Contains(q.Addr())
	}
	if !parts {
		return false
	}
	low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
	b := p.Addr().AsSlice()
	b[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	high, _ := netip.AddrFromSlice(b)
	return n.has(low) && n.has(netip.PrefixFrom(high, p.Bits()+1))
}

func (n from) each() (list []Condition) {
	if len(n) < 2 {
		return nil
	}
	for _, p := range n {
		list = append(list, from{p})
	}
	return list
}

func (c *begins) covers(o Condition) bool {
	b := o.(*begins)
	for i := range b.forms {
		if !slices.Contains(c.texts, b.texts[i]) && !c.coversForm(b.texts[i], &b.forms[i]) {
			return false
		}
	}
	return true
}

// coversForm reports whether c holds for everybody who begins with a form, which
// value writes.
func (c *begins) coversForm(value string, m *form) bool {
	heads := headsOf(value, m)
	return slices.ContainsFunc(c.forms, func(f form) bool {
		if m.silence > 0 {
			return f.silence > 0 && f.silence <= m.silence
		}
		// An expression may hold for a head, and not for what follows it.
		return f.looks != nil && !f.line && len(heads) > 0 && !slices.ContainsFunc(heads, func(h string) bool { return f.looks([]byte(h)) != Yes })
	})
}

// headsOf returns texts with one of which all begin that a form holds for; none
// if they are not known.
func headsOf(value string, m *form) []string {
	switch {
	case m.silence > 0 || m.line:
		return nil
	case value == "tls":
		return []string{"\x16\x03"}
	case value == "http":
		return methods
	case value == "ssh":
		return []string{"SSH-"}
	case value == "postgres":
		return []string{"\x00\x00"}
	case value == "proxy":
		return proxyHeads
	}
	return []string{strings.TrimPrefix(value, "text=")}
}

func (c *begins) each() (list []Condition) {
	if len(c.forms) < 2 {
		return nil
	}
	for i := range c.forms {
		list = append(list, &begins{texts: c.texts[i : i+1], forms: c.forms[i : i+1]})
	}
	return list
}
