package control

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"netserver/access"
)

// Explained is what the ports would do with a client, in several parts.
type Explained struct {
	Peer    string          `json:"peer"`
	Source  string          `json:"source"`  // what limits count it as; "" of UNIX clients
	Network string          `json:"network"` // around that
	Ports   []ExplainedPort `json:"ports"`
	Silent  []Silent        `json:"silent"`
}

// An ExplainedPort is what a port would do now.
type ExplainedPort struct {
	Port    string   `json:"port"`
	Workers []int    `json:"workers"` // that say all the same
	Allowed bool     `json:"allowed"`
	Refused []string `json:"refused"` // why not, in the order in which it would happen
	Notes   []string `json:"notes"`   // what else would happen
	Rule    string   `json:"rule"`    // for addresses and names, that decides
	Name    string   `json:"peer_name"`

	Limits  []ExplainedLimit `json:"limits"`
	Penalty *Boxed           `json:"penalty"` // null: it is not in the penalty box
	Exempt  bool             `json:"penalty_exempt"`
	TLS     *ExplainedTLS    `json:"tls"`   // null without
	Route   *ExplainedRoute  `json:"route"` // null: the port has none
	Backend string           `json:"backend"`
	Targets []Reachable      `json:"targets"`
}

// An ExplainedLimit is a limit that the client would meet.
type ExplainedLimit struct {
	Key     string  `json:"key"`
	OfPort  bool    `json:"of_port"` // of the port alone, beside the server's
	Unit    string  `json:"unit"`
	Value   float64 `json:"value"`
	Use     float64 `json:"use"`
	Refuses bool    `json:"refuses"`
}

// An ExplainedTLS is what TLS would do for the name that the client asks for.
type ExplainedTLS struct {
	Certificate string `json:"certificate"` // that is served
	Rule        string `json:"rule"`        // for clients' certificates
	Requires    bool   `json:"requires"`    // without one nobody is let in
}

// An ExplainedRoute is the route that the client would take.
type ExplainedRoute struct {
	Name        string `json:"name"` // "" if there is none for it
	Why         string `json:"why"`
	PassThrough bool   `json:"passthrough"`
}

// A Reachable is a target that the client could be connected to.
type Reachable struct {
	Target  string `json:"target"`
	Address string `json:"address"`
	State   string `json:"state"`
}

// Bounds of VerbExplain.
const (
	MaxExplained = 4096 // ports that are explained
	maxSNI       = 255
	maxALPN      = 16
	maxPort      = 300
)

// Add puts a further part of the answer to those before. Workers that say the
// same of a port are put together.
func (e *Explained) Add(part Explained) {
	e.Peer, e.Source, e.Network = part.Peer, part.Source, part.Network
	e.Silent = append(e.Silent, part.Silent...)
	for _, p := range part.Ports {
		if at := e.same(p); at >= 0 {
			e.Ports[at].Workers = append(e.Ports[at].Workers, p.Workers...)
		} else {
			e.Ports = append(e.Ports, p)
		}
	}
}

// same returns the place of what says the same as p, or -1.
func (e *Explained) same(p ExplainedPort) int {
	for i, have := range e.Ports {
		if have.Port != p.Port {
			continue
		}
		if have.Workers = p.Workers; reflect.DeepEqual(have, p) {
			return i
		}
	}
	return -1
}

// Text writes it in readable form.
func (e *Explained) Text(w io.Writer) {
	who := e.Peer
	if e.Source != "" {
		who += fmt.Sprintf(", which limits count as %s and as %s", e.Source, e.Network)
	}
	fmt.Fprintln(w, Clean(who))
	for i := range e.Ports {
		e.Ports[i].text(w)
	}
	silentText(w, e.Silent)
}

func (p *ExplainedPort) text(w io.Writer) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", what, Clean(fmt.Sprintf(format, args...)))
	}
	verdict := "allowed"
	if !p.Allowed {
		verdict = "refused"
	}
	fmt.Fprintf(w, "\nport %s (worker %s): %s\n", Clean(p.Port), numbers(p.Workers), verdict)
	for _, why := range p.Refused {
		line("refused", "%s", why)
	}
	for _, n := range p.Notes {
		line("note", "%s", n)
	}
	line("rule", "%s", p.Rule)
	if p.Name != "" {
		line("name", "%s", p.Name)
	}
	for _, l := range p.Limits {
		key := l.Key
		if l.OfPort {
			key += " of the port"
		}
		line("limit", "%s: %s of %s %s in use", key, plainNumber(l.Use), plainNumber(l.Value), l.Unit)
	}
	if p.Exempt {
		line("penalty", "exempt from the penalty box")
	}
	if t := p.TLS; t != nil {
		line("certificate", "%s", t.Certificate)
		line("clients'", "%s", t.Rule)
	}
	if r := p.Route; r != nil {
		line("route", "%s: %s", cmp.Or(r.Name, "none"), r.Why)
	}
	if p.Backend != "" {
		line("backend", "%s", p.Backend)
	}
	for _, t := range p.Targets {
		line("target", "%s %s", cmp.Or(t.Address, t.Target), t.State)
	}
}

// numbers writes numbers in words.
func numbers(list []int) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, ", ")
}

// unixPeer begins the text of a UNIX client whose user is known.
const unixPeer = "unix:"

// PeerText writes a peer as a request has it: an address, or unix, or for a
// process of a known user unix:UID:GID and its groups, each behind a colon. The
// server looks no user up.
func PeerText(p access.Peer) string {
	switch {
	case p.Unix && p.Cred == nil:
		return "unix"
	case p.Unix:
		s := fmt.Sprintf("%s%d:%d", unixPeer, p.Cred.UID, p.Cred.GID)
		for _, g := range p.Cred.Groups {
			s += fmt.Sprintf(":%d", g)
		}
		return s
	case p.Port != 0:
		return netip.AddrPortFrom(p.IP, p.Port).String()
	}
	return p.IP.String()
}

// ParsePeer reads what PeerText writes.
func ParsePeer(s string) (access.Peer, error) {
	rest, ok := strings.CutPrefix(s, unixPeer)
	if !ok {
		return access.ParsePeer(s)
	}
	var ids []uint32
	for _, text := range strings.Split(rest, ":") {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return access.Peer{}, fmt.Errorf("%q is not unix:UID:GID, in numbers", cut(s))
		}
		ids = append(ids, uint32(n))
	}
	if len(ids) < 2 {
		return access.Peer{}, fmt.Errorf("%q is not unix:UID:GID, in numbers", cut(s))
	}
	return access.Peer{Unix: true, Cred: &access.Cred{UID: ids[0], GID: ids[1], Groups: ids[2:]}}, nil
}

// checkExplain checks what VerbExplain asks for.
func (r *Request) checkExplain() error {
	if r.Peer == "" {
		return errors.New("explain needs the address of a client")
	}
	if _, err := ParsePeer(r.Peer); err != nil {
		return err
	}
	if len(r.SNI) > maxSNI || !isPrintable(r.SNI) {
		return fmt.Errorf("sni %q cannot be asked for by a client: a name has at most %d characters, of ASCII and without blanks", cut(r.SNI), maxSNI)
	}
	if len(r.ALPN) > maxALPN {
		return fmt.Errorf("%d protocols in alpn; %d are enough", len(r.ALPN), maxALPN)
	}
	for _, p := range r.ALPN {
		if p == "" || len(p) > maxSNI || !isPrintable(p) {
			return fmt.Errorf("alpn %q cannot be offered by a client: a protocol has 1 to %d characters, of ASCII and without blanks", cut(p), maxSNI)
		}
	}
	if len(r.Port) > maxPort || !isPrintable(r.Port) {
		return fmt.Errorf("%q is not a port, as listed by status", cut(r.Port))
	}
	return nil
}

func isPrintable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
