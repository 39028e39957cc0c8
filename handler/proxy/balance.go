package proxy

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"
)

// A Balance is how a Backend shares its clients among the targets that are up.
// Targets whose SRV records have a lower priority value go before others, and
// backups come after all others, whatever the Balance.
type Balance uint8

const (
	// RoundRobin gives each target its share in turn.
	RoundRobin Balance = iota
	// Least chooses the target with the fewest open clients for its weight.
	Least
	// Source sends the clients of one address to one target for as long as
	// that is up and has room, and moves no others when a target goes down or
	// comes back. It is the same in all processes. Clients without an address
	// are shared as by RoundRobin.
	Source
	// Priority chooses the first target of the list that is up and has room.
	Priority
)

var balances = [...]string{"round_robin", "least", "source", "priority"}

// String returns the name that ParseBalance reads.
func (b Balance) String() string {
	if int(b) < len(balances) {
		return balances[b]
	}
	return "unknown"
}

// ParseBalance returns the Balance named round_robin, least, source or priority.
func ParseBalance(s string) (Balance, error) {
	for i, name := range balances {
		if s == name {
			return Balance(i), nil
		}
	}
	return 0, fmt.Errorf("%s is not a way to balance: write round_robin, least, source or priority", printable(s))
}

// A request is what choosing a target for a client depends on.
type request struct {
	key   uint64      // of its address
	keyed bool        // it has one
	tried []*endpoint // those that failed for it
}

// pick chooses among the endpoints that are up, or returns nil; then full tells
// that there are some, but without room. Call it with b.mu held.
func (b *Backend) pick(r request) (ep *endpoint, full bool) {
	now := b.now()
	for rest := b.order; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].tier == rest[0].tier {
			n++
		}
		if rest[0].backup && full {
			return nil, true // backups help when others are down, not when they are busy
		}
		ep, up := b.pickIn(rest[:n], r, now)
		if ep != nil {
			return ep, false
		}
		full = full || up
		rest = rest[n:]
	}
	return nil, full
}

// pickIn is pick among endpoints of one tier; up tells that one is up.
func (b *Backend) pickIn(tier []*endpoint, r request, now time.Time) (_ *endpoint, up bool) {
	var best *endpoint
	var score float64
	var total int64
	offset := 0
	if b.Balance == Least {
		offset = int(b.turn % uint(len(tier)))
		b.turn++
	}
	for i := range tier {
		ep := tier[(i+offset)%len(tier)]
		if !ep.isUp() || r.hasTried(ep) {
			continue
		}
		up = true
		if !ep.hasRoom() {
			continue
		}
		share := ep.share(now, b.SlowStart)
		switch {
		case b.Balance == Source && r.keyed:
			if s := rendezvous(r.key, ep.hash, share); best == nil || s > score {
				best, score = ep, s
			}
		case b.Balance == Least:
			if s := float64(ep.active.Load()+1) / float64(share); best == nil || s < score {
				best, score = ep, s
			}
		default:
			// The one that is furthest behind its share: smooth, so that the
			// clients of a heavy target do not come in a row.
			total += share
			if ep.ahead += share; best == nil || ep.ahead > best.ahead {
				best = ep
			}
		}
	}
	if best != nil {
		best.ahead -= total
	}
	return best, up
}

func (r *request) hasTried(ep *endpoint) bool {
	for _, t := range r.tried {
		if t == ep {
			return true
		}
	}
	return false
}

// rendezvous is how much the client of a key wants a target: with the highest
// number winning, a target that is gone moves only its own clients, and shares
// are in proportion to the weights.
func rendezvous(key, target uint64, share int64) float64 {
	h := mix(key ^ target)
	u := (float64(h>>11) + 0.5) / (1 << 53) // in (0, 1)
	return float64(share) / -math.Log(u)
}

// mix is the finalizer of SplitMix64.
func mix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 27
	h *= 0x94d049bb133111eb
	return h ^ h>>31
}

// hashOf is the FNV-1a hash of s, spread. It is the same in all processes.
func hashOf[T string | []byte](s T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// keyOf returns the key of a client's address.
func keyOf(a net.Addr) (key uint64, ok bool) {
	var ip netip.Addr
	switch a := a.(type) {
	case *net.TCPAddr:
		ip = a.AddrPort().Addr()
	case *net.UDPAddr:
		ip = a.AddrPort().Addr()
	}
	if !ip.IsValid() {
		return 0, false
	}
	b := ip.Unmap().As16()
	return hashOf(b[:]), true
}
