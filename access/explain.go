package access

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/user"
	"strings"
)

// An Explanation says what would happen to a client, for --check --peer.
type Explanation struct {
	Allowed  bool   `json:"allowed"`
	Rule     string `json:"rule"`
	Shadowed bool   `json:"shadowed,omitempty"` // admitted, but Rule would refuse it
	Host     string `json:"-"`                  // the name used
	Early    bool   `json:"-"`                  // decided by the address alone, before any byte is read

	peer string
	log  string
}

// String returns the explanation as one or two readable lines.
func (e Explanation) String() string {
	who := e.peer
	if e.Host != "" {
		who += " (" + e.Host + ")"
	}
	s := who + ": refused: " + e.Rule
	switch {
	case e.Shadowed:
		s = who + ": allowed, but without shadow mode it would be refused: " + e.Rule
	case e.Allowed:
		s = who + ": allowed: " + e.Rule
	}
	if e.log != "" {
		s += "\n" + e.log
	}
	return s
}

// Explain says how p treats a client. address is an IP address, with or
// without a port, or unix, or unix:USER for a UNIX client of that user. If
// host is not empty, the client has that name, which resolves back to its
// address. Otherwise, where the rules need a name, l looks it up; a nil l
// finds none. The error is about address or host.
func Explain(ctx context.Context, p *Policy, l *Lookups, address, host string) (Explanation, error) {
	peer, err := ParsePeer(address)
	if err != nil {
		return Explanation{}, err
	}
	if host = strings.TrimSuffix(host, "."); host != "" && !isHostname(host) {
		return Explanation{}, fmt.Errorf("peer_host %s is not a host name", quote(host))
	}
	v := p.Early(peer)
	e := Explanation{Early: v.Final, peer: address}
	if !v.Final {
		names := Names{Host: host}
		if host != "" {
			names.Addrs = []netip.Addr{peer.IP}
		} else if l != nil {
			names = l.Find(ctx, peer.IP, p.double)
		}
		v = p.Decide(peer, names)
		e.Host = names.Host
	}
	e.Allowed, e.Rule, e.Shadowed, e.log = v.Allowed, v.Rule, v.Shadowed, v.Log
	return e, nil
}

// ParsePeer parses the value of --peer; see Explain.
func ParsePeer(s string) (Peer, error) {
	if name, ok := strings.CutPrefix(s, "unix:"); ok {
		c, err := credOf(name)
		return Peer{Unix: true, Cred: c}, err
	}
	if s == "unix" {
		return Peer{Unix: true}, nil
	}
	if ap, err := netip.ParseAddrPort(s); err == nil && isZone(ap.Addr().Zone()) {
		return Peer{IP: ap.Addr().Unmap(), Port: ap.Port()}, nil
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil || !isZone(ip.Zone()) {
		return Peer{}, fmt.Errorf("%s is not an address: write 192.0.2.1, 2001:db8::1, %s, unix or unix:USER",
			quote(s), net.JoinHostPort("2001:db8::1", "443"))
	}
	return Peer{IP: ip.Unmap()}, nil
}

// isZone reports whether s, of an address, can be the name of an interface.
func isZone(s string) bool {
	return len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) < 0
}

// credOf returns the identity of a user's process, by name or number.
func credOf(name string) (*Cred, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if n, ok := number(name); ok {
			if u, err = user.LookupId(name); err != nil {
				return &Cred{UID: n, GID: ^uint32(0)}, nil // a user without an entry
			}
		} else {
			return nil, fmt.Errorf("%s: no such user", quote("unix:"+name))
		}
	}
	uid, ok1 := number(u.Uid)
	gid, ok2 := number(u.Gid)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("unix:%s: %w", name, ErrNoCred)
	}
	c := &Cred{UID: uid, GID: gid}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("unix:%s: groups: %w", name, err)
	}
	for _, id := range ids {
		if g, ok := number(id); ok {
			c.Groups = append(c.Groups, g)
		}
	}
	return c, nil
}
