package access

import (
	"context"
	"net/netip"
	"sync"
)

// A Policy decides who may connect. It is immutable and safe for concurrent
// use. The zero Policy admits everybody. Rules.Compile makes one.
type Policy struct {
	enforced table
	full     *table // with the rules in shadow mode; nil if there are none
	names    bool   // look up names
	double   bool   // and their addresses
	warnings []string
}

// Early gives a verdict before any byte is read, if possible. If it is not
// Final, the client's name is needed: see Check. Early does not allocate and
// takes well under a microsecond, whatever the number of networks.
func (p *Policy) Early(peer Peer) Verdict {
	return p.judge(&query{peer: peer, addr: plain(peer.IP)})
}

// Decide gives the verdict with the result of the look-up. The zero Names is a
// client without a name. The verdict is always Final.
func (p *Policy) Decide(peer Peer, n Names) Verdict {
	return p.judge(&query{peer: peer, addr: plain(peer.IP), known: true, names: n})
}

// Check runs Early, the look-up if it is needed or wanted, and Decide, and
// returns the peer with its name. A client refused by its address causes no
// look-up; one whose name is not found in time has none. Check may wait as
// long as the look-up's time limit.
func (p *Policy) Check(ctx context.Context, l *Lookups, peer Peer) (Peer, Verdict) {
	v := p.Early(peer)
	if v.Final && (!v.Allowed || !p.names || !peer.IP.IsValid()) {
		return peer, v
	}
	n := l.Find(ctx, peer.IP, p.double)
	peer.Host = n.Host
	if !v.Final {
		v = p.Decide(peer, n)
	}
	return peer, v
}

// NeedsNames reports whether clients' names are looked up at all.
func (p *Policy) NeedsNames() bool { return p.names }

// NeedsCred reports whether the rules use Peer.Cred, so that CredOf must be
// called for UNIX clients before Early.
func (p *Policy) NeedsCred() bool {
	return p.enforced.unix != nil || p.full != nil && p.full.unix != nil
}

// Warnings returns rules that are valid but hardly intended, a line each, for
// the log at start.
func (p *Policy) Warnings() []string { return p.warnings }

// judge applies the enforced rules and then, for clients that pass, those in
// shadow mode.
func (p *Policy) judge(q *query) Verdict {
	v := p.enforced.judge(q)
	if p.full == nil || v.Final && !v.Allowed {
		return v
	}
	shadow := p.full.judge(q)
	switch {
	case !v.Final:
		return v
	case !shadow.Final:
		return Verdict{Rule: ruleUndecided}
	case !shadow.Allowed:
		return Verdict{Allowed: true, Final: true, Shadowed: true, Key: shadow.Key, Rule: shadow.Rule, Log: shadow.Log}
	}
	return v
}

// A query is one question to the tables.
type query struct {
	peer  Peer
	addr  netip.Addr // the peer's, plain
	known bool       // names hold the look-up's result; otherwise there was none yet
	names Names
}

// noAddress stands for the address of a client without one, as in Net::Server.
var noAddress = netip.IPv4Unspecified()

// buffers hold an address's text while expressions are matched against it. A
// buffer on the stack would escape to the heap for every client, because it
// passes through the regexp engine.
var buffers = sync.Pool{New: func() any { return new([64]byte) }}
