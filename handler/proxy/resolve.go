package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"netserver/logs"
)

// Bounds of what an answer may hold.
const (
	maxAddresses = 256 // of one name; those above it in order are not used
	maxRecords   = 64  // SRV records of one name
	lookupLimit  = 10 * time.Second
	lookupRetry  = 2 * time.Second // after a failure
)

// A Resolver looks up the names of targets; *net.Resolver is one. Its methods
// may run for several names at once.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// lookups are what is known of a target's name.
type lookups struct {
	places []place
	hosts  map[string][]netip.Addr // the last good answers
	next   time.Time               // when the name is to be looked up again; zero at once
	busy   bool
	err    error // of the last look-up
	cut    bool  // there are more addresses than are used, and that has been said
}

// An answer is what one look-up of a target's name found.
type answer struct {
	places []place
	hosts  map[string][]netip.Addr
	err    error // of a part of it, or all
	cut    bool  // there are more than are used
}

func (b *Backend) resolver() Resolver {
	if b.Resolver != nil {
		return b.Resolver
	}
	return net.DefaultResolver
}

// lookUp finds the addresses of a name, or what it can find of them; known are
// the last good answers, which stand in for those that fail.
func (b *Backend) lookUp(ctx context.Context, a address, known map[string][]netip.Addr) answer {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	ans := answer{hosts: make(map[string][]netip.Addr)}
	if a.network != "srv" {
		b.lookUpHost(ctx, &ans, known, a.host, a.port, 0, 0)
		return ans
	}
	_, records, err := b.resolver().LookupSRV(ctx, "", "", a.host)
	if err != nil && len(records) == 0 {
		ans.err = err
		return ans
	}
	if len(records) > maxRecords {
		records, ans.cut = records[:maxRecords], true
	}
	// What a record names is a host: SRV records of that name are not asked for,
	// so they cannot lead in a circle.
	equal := !slices.ContainsFunc(records, func(r *net.SRV) bool { return r.Weight > 0 })
	for _, r := range records {
		host := strings.TrimSuffix(r.Target, ".")
		if host == "" || r.Port == 0 {
			continue // the domain says that it has no such service
		}
		// A record of weight 0 has a small chance beside others.
		weight := r.Weight
		if equal {
			weight = 1
		}
		b.lookUpHost(ctx, &ans, known, host, strconv.Itoa(int(r.Port)), r.Priority, weight)
	}
	if len(ans.places) == 0 && ans.err == nil {
		ans.err = errors.New("its SRV records name no host")
	}
	return ans
}

// lookUpHost adds the addresses of one host to ans.
func (b *Backend) lookUpHost(ctx context.Context, ans *answer, known map[string][]netip.Addr, host, port string, priority, weight uint16) {
	list, done := ans.hosts[host]
	if ip, err := netip.ParseAddr(host); err == nil {
		list, done = []netip.Addr{ip}, true
	}
	if !done {
		var err error
		list, err = b.resolver().LookupNetIP(ctx, "ip", host)
		for i := range list {
			list[i] = list[i].Unmap()
		}
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("lookup %s: no addresses", printable(host))
		}
		if err != nil {
			if ans.err == nil {
				ans.err = connectReason(err, lookupLimit)
			}
			list = known[host]
		}
		if len(list) > 0 {
			ans.hosts[host] = list
		}
	}
	ans.cut = ans.cut || len(list) > maxAddresses
	ans.places = append(ans.places, placesOf(list, host, port, priority, weight)...)
}

// placesOf makes places of a host's addresses. One address of each family is
// one place, as both lead to one machine as a rule.
func placesOf(list []netip.Addr, host, port string, priority, weight uint16) []place {
	name := net.JoinHostPort(host, port)
	at := func(ip netip.Addr) string { return net.JoinHostPort(ip.String(), port) }
	to := func(ip netip.Addr) place {
		where := address{network: "tcp", address: at(ip), host: ip.String(), port: port}
		return place{where: where, name: name, priority: priority, weight: weight}
	}
	if len(list) == 2 && list[0].Is4() != list[1].Is4() {
		p := to(list[0])
		p.second = at(list[1])
		return []place{p}
	}
	list = slices.SortedFunc(slices.Values(list), netip.Addr.Compare) // the first ones stay so when there are too many
	list = slices.Compact(list)
	places := make([]place, 0, min(len(list), maxAddresses))
	for _, ip := range list[:min(len(list), maxAddresses)] {
		places = append(places, to(ip))
	}
	return places
}

// resolve looks up the name of s and uses what it finds.
func (b *Backend) resolve(ctx context.Context, s *source) {
	b.mu.Lock()
	known := s.names.hosts
	b.mu.Unlock()
	ans := b.lookUp(ctx, s.where, known)
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.IndexFunc(b.sources, func(x *source) bool { return x.Address == s.Address }); i < 0 {
		return // it is no target any more
	} else if b.sources[i] != s {
		s = b.sources[i] // the list is another now
	}
	n := &s.names
	n.busy = false
	n.next = time.Now().Add(jitter(b.resolveAfter(ans.err)))
	b.tellOfNames(s, &ans)
	n.err = ans.err
	if len(ans.places) == 0 {
		b.serveQueue() // those who wait for the first answer
		return         // the last good ones stay
	}
	n.hosts = ans.hosts
	// The order of an answer is not always the same.
	slices.SortFunc(ans.places, func(x, y place) int {
		return cmp.Or(cmp.Compare(x.priority, y.priority), cmp.Compare(x.name, y.name), cmp.Compare(x.where.address, y.where.address))
	})
	if slices.Equal(ans.places, n.places) {
		return
	}
	n.places = ans.places
	s.place(b, n.places, s.endpoints)
	b.arrange()
}

func (b *Backend) resolveAfter(err error) time.Duration {
	every := orDefault(b.Resolve, defaultResolve)
	switch {
	case every == 0 && err == nil:
		return forever
	case every == 0 || err != nil && every > lookupRetry:
		return lookupRetry
	}
	return every
}

const forever = 10 * 365 * 24 * time.Hour // nothing is due

// tellOfNames logs what is new about the look-ups of s.
func (b *Backend) tellOfNames(s *source, ans *answer) {
	target := slog.String("target", s.Address)
	switch {
	case ans.err != nil && s.names.err == nil:
		used, msg := cmp.Or(len(ans.places), len(s.names.places)), "look-up of a target failed"
		if used > 0 {
			msg += "; the last good addresses stay"
		}
		b.log(slog.LevelWarn, msg, target, slog.Int("addresses", used), slog.String("err", ans.err.Error()))
	case ans.err == nil && s.names.err != nil:
		b.log(logs.Notice, "look-up of a target succeeds again", target, slog.Int("addresses", len(ans.places)))
	}
	if ans.cut && !s.names.cut {
		b.log(slog.LevelWarn, "a target has more addresses or SRV records than are used", target, slog.Int("used", len(ans.places)))
	}
	s.names.cut = ans.cut
}

// lookUpForClients looks up the names that are due while Run does not run.
func (b *Backend) lookUpForClients() {
	defer func() { <-b.looking }()
	for _, s := range b.dueNames(time.Now()) {
		b.resolve(context.Background(), s)
	}
}

// dueNames returns the targets whose names are to be looked up now, and marks
// them.
func (b *Backend) dueNames(now time.Time) (due []*source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sources {
		if s.named && !s.names.busy && !now.Before(s.names.next) {
			s.names.busy = true
			due = append(due, s)
		}
	}
	return due
}

// namesPending reports whether a name has not been looked up yet. Call it with
// b.mu held.
func (b *Backend) namesPending() bool {
	return slices.ContainsFunc(b.sources, func(s *source) bool {
		return s.named && len(s.names.places) == 0 && s.names.err == nil
	})
}
