package netserver

import (
	"math"
	"slices"

	"netserver/internal/admit"
	"netserver/outcome"
	"netserver/port"
)

// A LimitUse is a limit as it is in force, and what there is of it now.
type LimitUse struct {
	Key   string
	Port  port.Spec // of a limit that each port has; else zero
	Unit  string    // clients, handshakes, datagrams, bytes, seconds, per second or bytes per second
	Value float64   // 0 is no limit
	Use   float64   // -1: it is not counted, as with times
	// Refused is how many clients and datagrams it has refused or ended, or
	// would have in shadow mode. max_connections, max_servers and
	// max_datagrams refuse none: clients wait.
	Refused uint64
}

// LimitKeys returns the keys of the limits that PortStats.Refused can count
// under.
func LimitKeys() []string { return slices.Clone(limitKeys[admit.OK+1:]) }

var limitKeys = keysOfReasons()

func keysOfReasons() (keys [admit.Reasons]string) {
	for i := range settings {
		if t := &settings[i]; t.reason != admit.OK {
			keys[t.reason] = t.key
		}
	}
	return keys
}

// unused marks a limit whose use is not counted.
const unused = -1

// limitUses lists the limits as the table of settings has them.
func (r *run) limitUses() []LimitUse {
	var list []LimitUse
	n, u := r.tallies(), r.usage()
	for i := range settings {
		t := &settings[i]
		switch {
		case t.unit == "":
		case t.each != nil:
			for _, l := range r.ls {
				if use, ok := t.each(l); ok {
					list = append(list, LimitUse{Key: t.key, Port: l.spec, Unit: t.unit, Value: t.amount(&l.cfg), Use: use})
				}
			}
		default:
			limit := LimitUse{Key: t.key, Unit: t.unit, Value: t.amount(&r.cfg), Use: unused, Refused: t.refused(&n)}
			if t.use != nil {
				limit.Use = t.use(&u)
			}
			list = append(list, limit)
		}
	}
	return list
}

// amount returns the limit in its unit.
func (t *setting) amount(e *effective) float64 {
	v := float64(t.value((*Config)(e)).Int())
	if t.unit == unitSeconds {
		v /= 1e9
	}
	return v
}

// refused returns how many clients the limit has refused or ended.
func (t *setting) refused(n *tallied) uint64 {
	sum := n.Refused[t.reason]
	if t.ends != outcome.Served {
		sum += n.Outcomes[t.ends]
	}
	if t.ends == outcome.TooSlow {
		sum += n.WouldCut
	}
	return sum
}

// tallies adds up what the ports have counted.
func (r *run) tallies() (sum tallied) {
	for _, l := range r.ls {
		sum.WouldCut += l.wouldCut.Load()
		for i := range l.outcomes {
			sum.Outcomes[i] += l.outcomes[i].Load()
		}
		for i := range l.refused {
			sum.Refused[i] += l.refused[i].Load() + l.wouldRefuse[i].Load()
		}
	}
	return sum
}

// tallied is what the ports have counted together.
type tallied struct {
	Outcomes [outcome.Count]uint64
	Refused  [admit.Reasons]uint64 // or would have been
	WouldCut uint64
}

// A usage is what there is at one moment of what the limits count.
type usage struct {
	r                 *run
	sources, networks []admit.SourceUse // that have the most clients
	conns, datagrams  float64           // a second
}

func (r *run) usage() usage {
	u := usage{r: r}
	u.sources, u.networks = r.limiter.Top(1)
	u.conns, u.datagrams = r.limiter.Rates()
	return u
}

func (u *usage) clients() float64   { return float64(u.r.clients.count()) }
func (u *usage) memory() float64    { return float64(u.r.limiter.Stats().Memory) }
func (u *usage) topSource() float64 { return most(u.sources) }
func (u *usage) topPrefix() float64 { return most(u.networks) }

func most(list []admit.SourceUse) float64 {
	if len(list) == 0 {
		return 0
	}
	return float64(list[0].Conns)
}

// serving returns how many clients are in the Handler, if that is counted.
func (u *usage) serving() float64 {
	g := u.r.gate
	if g.MaxServing() == 0 {
		return unused
	}
	return float64(g.Serving())
}

func (u *usage) handshakes() float64 {
	if u.r.queue == nil {
		return unused
	}
	return float64(u.r.queue.Stats().Unfinished)
}

func (u *usage) connRate() float64     { return rateUse(u.r.cfg.Admission.ConnRate, u.conns) }
func (u *usage) datagramRate() float64 { return rateUse(u.r.cfg.Admission.DatagramRate, u.datagrams) }

// rateUse returns a rate, which is counted only where it is limited.
func rateUse(limit int, use float64) float64 {
	if limit == 0 {
		return unused
	}
	return math.Round(use)
}

// datagramsNow returns how many datagrams are in the Handler, on a port for
// such.
func (l *listening) datagramsNow() (float64, bool) {
	return float64(len(l.datagram)), l.datagram != nil
}
