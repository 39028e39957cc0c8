package admit

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// maxBans is how many networks may be banned at once. Each arrival is compared
// with all of them.
const maxBans = 256

// A ban keeps a network in the penalty box that somebody has put there by hand.
type ban struct {
	p     netip.Prefix
	until int64
}

// Ban puts the network p into the penalty box for d, whatever its clients have
// done, and with or without points. Exempt addresses in it may still come. A
// second ban of p takes the place of the first.
func (l *Limiter) Ban(p netip.Prefix, d time.Duration) error {
	if p = liftable(p); !p.IsValid() {
		return errors.New("not a network")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock()
	list := l.bansBut(now, func(b netip.Prefix) bool { return b == p })
	if len(list) >= maxBans {
		return errors.New("too many networks are in the penalty box by hand (256); lift one")
	}
	list = append(list, ban{p, now + int64(d)})
	l.bans.Store(&list)
	return nil
}

// bansBut returns the bans that have not ended and that drop does not name.
func (l *Limiter) bansBut(now int64, drop func(netip.Prefix) bool) (list []ban) {
	if have := l.bans.Load(); have != nil {
		for _, b := range *have {
			if b.until > now && !drop(b.p) {
				list = append(list, b)
			}
		}
	}
	return list
}

// unban removes the bans within p and returns how many there were.
func (l *Limiter) unban(p netip.Prefix, now int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.bansBut(now, func(netip.Prefix) bool { return false })
	list := slices.DeleteFunc(slices.Clone(all), func(b ban) bool { return b.p.Bits() >= p.Bits() && p.Contains(b.p.Addr()) })
	if len(list) == 0 {
		l.bans.Store(nil)
	} else {
		l.bans.Store(&list)
	}
	return len(all) - len(list)
}

// banned reports whether a is in a banned network.
func (l *Limiter) banned(a netip.Addr, now int64) bool {
	list, others := l.bans.Load(), l.elsewhere.Load()
	if list == nil && others == nil {
		return false
	}
	a = a.Unmap().WithZone("")
	if list != nil {
		for _, b := range *list {
			if b.until > now && b.p.Contains(a) {
				return !l.cfg.Penalty.exempt(a)
			}
		}
	}
	_, found := others.find(a, now)
	return found && !l.cfg.Penalty.exempt(a)
}
