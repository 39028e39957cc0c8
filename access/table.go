package access

import (
	"bytes"
	"net/netip"
)

// A table is a set of rules, compiled for look-ups.
type table struct {
	ruled       bool // one of the four lists or their files was given
	reverse     bool
	double      doubleMode
	doubleRules [doubleOutcomes]string

	deny, allow         patternRules
	cidrDeny, cidrAllow networkRules
	unix                *unixRules // nil admits everybody
}

// patternRules are a list of expressions and their names.
type patternRules struct {
	patterns          // for addresses
	folded   patterns // for names; empty if none are looked up
	names    []string
}

// networkRules are a list of networks and their names.
type networkRules struct {
	networks
	names []string
}

func allowed(key, rule string) Verdict {
	return Verdict{Allowed: true, Final: true, Key: key, Rule: rule}
}

func denied(key, rule string) Verdict { return Verdict{Final: true, Key: key, Rule: rule} }

// judge applies the rules in Net::Server's order.
func (t *table) judge(q *query) Verdict {
	if q.peer.Unix {
		return t.unix.judge(q.peer.Cred)
	}
	known := q.known || !q.addr.IsValid() // nothing can be looked up
	var log string
	if t.double.on && known {
		var outcome int
		if outcome, log = t.double.check(orNone(q.peer.seen()), q.names); outcome >= 0 {
			v := denied(keyDouble, t.doubleRules[outcome])
			v.Log = log
			return v
		}
	}
	var v Verdict
	if t.ruled {
		v = t.lists(q, known)
	} else {
		v = allowed("", ruleNone)
	}
	if v.Allowed && t.double.on && !known {
		return Verdict{Rule: ruleUndecided}
	}
	v.Log = log
	return v
}

// lists applies the four lists.
func (t *table) lists(q *query, known bool) Verdict {
	ip := orNone(q.addr)
	byName := t.reverse && !known // a name may still be found and match
	if i := t.find(&t.deny, ip, q); i >= 0 {
		return denied(keyDeny, t.deny.names[i])
	}
	if i := t.cidrDeny.find(ip); i >= 0 {
		return denied(keyCIDRDeny, t.cidrDeny.names[i])
	}
	v := denied("", ruleNoAllow)
	if i := t.find(&t.allow, ip, q); i >= 0 {
		v = allowed(keyAllow, t.allow.names[i])
	} else if i := t.cidrAllow.find(ip); i >= 0 {
		v = allowed(keyCIDRAllow, t.cidrAllow.names[i])
	}
	if byName && (v.Allowed && t.deny.patterns.names || !v.Allowed && t.allow.patterns.names) {
		return Verdict{Rule: ruleUndecided}
	}
	return v
}

// find returns the first expression that matches the address or the name.
func (t *table) find(r *patternRules, ip netip.Addr, q *query) int32 {
	if len(r.list) == 0 {
		return -1
	}
	buf := buffers.Get().(*[64]byte)
	defer buffers.Put(buf)
	text := ip.AppendTo(buf[:0])
	best := r.patterns.find(text, text)
	if zoned := q.peer.IP; zoned.Zone() != "" {
		// Net::Server sees fe80::1%eth0; a rule for fe80::1 is meant to match
		// it too.
		text = zoned.AppendTo(buf[:0])
		best = earlier(best, r.patterns.find(text, text))
	}
	if t.reverse && q.names.Host != "" {
		host := []byte(q.names.Host)
		best = earlier(best, r.folded.find(bytes.ToLower(host), host))
	}
	return best
}

// earlier returns the smaller of two rules; -1 means none.
func earlier(a, b int32) int32 {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

func orNone(ip netip.Addr) netip.Addr {
	if !ip.IsValid() {
		return noAddress
	}
	return ip
}
