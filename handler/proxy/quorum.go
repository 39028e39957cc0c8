package proxy

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// What other servers' checks find of targets that this one has too. Of them this
// server believes that a target is down, never that it is up.

// A Finding is what the checks of a Backend have found of a target, of one
// address of it if it is a name.
type Finding struct {
	// ID tells the target, and what its check asks, from all others. It is the
	// same in each process and on each machine that has the target in a Backend
	// of the same Name, with the same Address and the same Check, its Interval,
	// Timeout, Rise and Fall aside; but a UNIX socket, and an address that each
	// machine has for itself as 127.0.0.1, is another target on another machine.
	// It is even, and not 0.
	ID   uint64
	Down bool
}

// An Opinion is what other servers have found of a target.
type Opinion struct {
	ID       uint64 // that of a Finding
	Down, Of int    // so many find it down, of so many that check it
}

// reason is why a target is not used.
func (o *Opinion) reason() string {
	return fmt.Sprintf("%d of %d other servers find it down", o.Down, o.Of)
}

// Findings returns what b's own checks have found of its targets; nothing that
// clients have found out, who could have caused it, and nothing that Heed was
// told. Targets that were not checked yet are not among them. It may be called
// at any time.
func (b *Backend) Findings() (list []Finding) {
	if b.init() != nil || b.Check.Kind == CheckOff {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ep := range b.order {
		if ep.shared != 0 && ep.health.checked {
			list = append(list, Finding{ep.shared, ep.health.down})
		}
	}
	return list
}

// Heed has b take those of its targets out of use that are in the list, though
// its own checks find them up: enough other servers find them down. It takes the
// place of the list before, and nil ends it. More than half of the targets that
// are up here are never taken out so: then none is, as it is more likely that the
// others are cut off, or lie. The list has to be in the order of ID, may have
// targets of other Backends, and must not be changed any more. Heed may be called
// at any time.
func (b *Backend) Heed(list []Opinion) {
	if b.init() != nil || b.Check.Kind == CheckOff {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.others.list = list
	b.weigh()
}

// opinions are what a Backend knows of other servers. Its mutex guards them.
type opinions struct {
	machine machine
	list    []Opinion // as Heed was told
	out     int       // targets that are out of use for that
	ignored bool      // they are too many
	lines   float64   // of the log that may be written at once
	lined   time.Time // lines is of this time
}

// of returns what others say of ep, and whether they say that it is down.
func (o *opinions) of(ep *endpoint) (Opinion, bool) {
	if ep.shared == 0 {
		return Opinion{}, false
	}
	i, ok := slices.BinarySearchFunc(o.list, ep.shared, func(one Opinion, id uint64) int { return cmp.Compare(one.ID, id) })
	if !ok {
		return Opinion{}, false
	}
	return o.list[i], true
}

// weigh finds which targets are out of use because of other servers. Call it with
// b.mu held, when they say something else or something was found here.
func (b *Backend) weigh() {
	o := &b.others
	if len(o.list) == 0 && o.out == 0 && !o.ignored {
		return
	}
	up, doubted := 0, 0
	for _, ep := range b.order {
		if !ep.isUpHere() {
			continue
		}
		up++
		if _, down := o.of(ep); down {
			doubted++
		}
	}
	if ignored := doubted > up/2; ignored != o.ignored {
		if o.ignored = ignored; ignored && o.mayLog() {
			b.log(slog.LevelWarn, "other servers find more than half of the targets down that are up here; its own checks alone count", slog.Int("targets", doubted), slog.Int("up", up))
		}
	}
	o.out = 0
	for _, ep := range b.order {
		one, down := o.of(ep)
		was := ep.outvoted
		if ep.outvoted = down && !o.ignored; ep.outvoted {
			o.out++
		}
		if !ep.isUpHere() {
			continue // that has been said
		}
		switch {
		case ep.outvoted && !was:
			b.tellDown(ep, one.reason(), o.mayLog())
		case ep.outvoted:
			ep.reason = one.reason()
		case was:
			b.tellUp(ep, o.mayLog())
		}
	}
}

const (
	linesAtOnce = 32 // lines of the log because of other servers, and then one a linesGap
	linesGap    = 2 * time.Second
)

// mayLog reports whether there may be a line more: others choose how many.
func (o *opinions) mayLog() bool {
	now := time.Now()
	if o.lined.IsZero() {
		o.lines = linesAtOnce
	}
	o.lines = min(o.lines+now.Sub(o.lined).Seconds()/linesGap.Seconds(), linesAtOnce)
	o.lined = now
	if o.lines < 1 {
		return false
	}
	o.lines--
	return true
}

// sharedID is Finding.ID of the target s at where; 0 if no other server has it.
func (b *Backend) sharedID(s *source, where address) uint64 {
	if b.Check.Kind == CheckOff {
		return 0
	}
	c, on := &b.Check, ""
	if only, machine := b.others.machine.only(where); only {
		if on = machine; on == "" {
			return 0
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d %q %q %q %d %q %q", b.Name, s.Address, where.address, on,
		c.Kind, c.Method, c.Host, c.Path, c.Status, c.Send, c.Expect))
	return max(binary.BigEndian.Uint64(sum[:])&^1, 2)
}

// A machine tells this machine from others; what is empty is not known.
type machine struct {
	network string // where an address of its own leads
	files   string // where a path leads
}

// only reports whether where is a target of this machine alone, and of which.
func (m *machine) only(where address) (is bool, on string) {
	if where.network == "unix" {
		return true, m.files
	}
	ip, err := netip.ParseAddr(where.host)
	ip = ip.Unmap()
	if err != nil || ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() {
		return true, m.network // a name that was not looked up may be anything
	}
	return false, ""
}
