package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"netserver/bench/honest"
	"netserver/internal/control"
)

const (
	faultsPart   = "faults"
	segment      = 15 * time.Second // of faults, between calms
	longestStop  = 8 * time.Second  // of a process: the cluster process is ended after 30
	calmFor      = 6 * time.Second  // in which each node writes all again
	agreeWithin  = 90 * time.Second // second secrets are made once a minute
	keptTickets  = 40
	banLength    = 6 * 3600 // seconds
	clientsPause = 60 * time.Millisecond
)

// A trial is a run of random faults, and its history.
type trial struct {
	s     *site
	r     *rand.Rand
	began time.Time
	wrong []string // beside what the history shows
	count map[string]int

	cuts    map[string]cut
	stopped map[string]stopped
	logFrom [len(nodeNames)]int64
	dumps   int
	bans    []string // without those lifted
	last    int      // of all bans
	seen    [len(nodeNames)]map[string]bool
	tickets []ticket
	old     []ticket // of before the secrets were given up
	gaveUp  time.Duration

	mu      sync.Mutex
	history []event
}

type stopped struct {
	pid   int
	since time.Time
}

// A ticket is one that a client has got, and when.
type ticket struct {
	state *tls.ClientSessionState
	at    time.Duration
}

// faults has things fail at random, and judges what came of it.
func faults(ctx context.Context, s *site, r *result) error {
	seed := s.o.seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	fmt.Fprintf(s.progress, "faults: -seed %d -faults %v\n", seed, s.o.faults)
	s.logLevel = 3 // which tells what cluster processes there are
	if err := s.startNodes(ctx, 0); err != nil {
		return err
	}
	t := &trial{s: s, r: rand.New(rand.NewPCG(seed, 15)), began: time.Now(), count: make(map[string]int), cuts: make(map[string]cut), stopped: make(map[string]stopped)}
	for i := range t.seen {
		t.seen[i] = make(map[string]bool)
	}
	load, end := context.WithCancel(ctx)
	var clients sync.WaitGroup
	for i := range s.nodes {
		clients.Go(func() { t.comeTo(load, i) })
		clients.Go(func() { t.stayAt(load, i) })
	}
	err := t.run(ctx, s.o.faults)
	heal := t.heal()
	end()
	clients.Wait()
	if err = errors.Join(err, heal); err != nil {
		return err
	}
	v := t.verdict(ctx)
	t.report(r, seed, v)
	return ctx.Err()
}

// run alternates between faults and calm. Half way the ticket secrets are given
// up, and the store gets a dump of before.
func (t *trial) run(ctx context.Context, d time.Duration) error {
	half := false
	for done := time.Duration(0); done < d; done += segment {
		for end := time.Now().Add(min(segment, d-done)); time.Now().Before(end); {
			if err := t.step(ctx); err != nil {
				return err
			}
			t.observe(ctx)
			if err := pause(ctx, time.Duration(t.r.IntN(250))*time.Millisecond); err != nil {
				return err
			}
		}
		if err := t.calm(ctx); err != nil {
			return err
		}
		if !half && 2*(done+segment) >= d {
			half = true
			if err := t.giveUpSecrets(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *trial) now() time.Duration { return time.Since(t.began) }

// note adds to the history.
func (t *trial) note(e event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.at == 0 {
		e.at = t.now()
	}
	t.history = append(t.history, e)
}

// comeTo has clients come to a node, one after the other, with TLS and without.
func (t *trial) comeTo(ctx context.Context, i int) {
	for secure := false; ctx.Err() == nil; secure = !secure {
		port := toPlain + i
		if secure {
			port = toTLS + i
		}
		e := event{kind: cameClient, node: i, at: t.now()}
		one, cancel := context.WithTimeout(ctx, clientTime)
		err := honest.Once(one, netip.Addr{}, t.s.at(port), secure)
		cancel()
		if ctx.Err() != nil {
			return
		}
		e.end = t.now()
		if err != nil {
			e.err = err.Error()
		}
		t.note(e)
		pause(ctx, clientsPause)
	}
}

// A fault is one thing that may happen, and how often.
type fault struct {
	name   string
	weight int
	do     func(*trial, context.Context, int) error
}

// all returns what may happen. A partition without namespaces is a store that is
// stopped.
func (t *trial) all() []fault {
	list := []fault{
		{"stores stopped", 3, (*trial).stopStore},
		{"stores killed and started with a dump", 2, (*trial).restoreStore},
		{"dumps", 6, (*trial).save},
		{"cluster processes stopped", 3, (*trial).stopSharer},
		{"cluster processes killed", 3, (*trial).killSharer},
		{"nodes killed and started", 2, (*trial).killNode},
		{"times healed", 7, func(t *trial, _ context.Context, _ int) error { return t.heal() }},
		{"bans", 14, (*trial).ban},
		{"lifts", 5, (*trial).lift},
		{"tickets issued", 6, (*trial).issue},
		{"tickets offered", 14, (*trial).offer},
	}
	if t.s.o.space != "" {
		list = append(list,
			fault{"nodes cut from the store, with an error", 3, func(t *trial, _ context.Context, i int) error { return t.cutNode(i, false) }},
			fault{"nodes cut from the store, in silence", 3, func(t *trial, _ context.Context, i int) error { return t.cutNode(i, true) }},
			fault{"stores cut from all", 2, func(t *trial, _ context.Context, _ int) error { return t.cut("store", t.s.cutOfAll()) }})
	}
	return list
}

var errNothing = errors.New("it can't happen now")

// step has one thing happen.
func (t *trial) step(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(t.stopped)) {
		if time.Since(t.stopped[name].since) > longestStop {
			t.goOn(name)
		}
	}
	list, sum := t.all(), 0
	for _, f := range list {
		sum += f.weight
	}
	at, node := t.r.IntN(sum), t.r.IntN(len(t.s.nodes))
	for _, f := range list {
		if at -= f.weight; at < 0 {
			err := f.do(t, ctx, node)
			if err == nil {
				t.count[f.name]++
			}
			if errors.Is(err, errNothing) {
				err = nil
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", f.name, err)
			}
			return err
		}
	}
	return nil
}

func (t *trial) cutNode(i int, silent bool) error {
	return t.cut(nodeNames[i], t.s.cutOf(nodeNames[i], silent))
}

func (t *trial) cut(name string, c cut) error {
	if _, is := t.cuts[name]; is {
		return errNothing
	}
	t.cuts[name] = c
	return ip(c.down...)
}

func (t *trial) mend(name string) error {
	c, is := t.cuts[name]
	if !is {
		return nil
	}
	delete(t.cuts, name)
	return ip(c.up...)
}

func (t *trial) stop(name string, pid int) error {
	if _, is := t.stopped[name]; is || pid == 0 || sendSignal(pid, sigStop) != nil {
		return errNothing
	}
	t.stopped[name] = stopped{pid, time.Now()}
	return nil
}

func (t *trial) goOn(name string) {
	if p, is := t.stopped[name]; is {
		sendSignal(p.pid, sigCont)
		delete(t.stopped, name)
	}
}

// heal ends all cuts and has all go on.
func (t *trial) heal() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(t.cuts)) {
		errs = append(errs, t.mend(name))
	}
	for _, name := range slices.Sorted(maps.Keys(t.stopped)) {
		t.goOn(name)
	}
	return errors.Join(errs...)
}

func (t *trial) stopStore(context.Context, int) error { return t.stop("store", t.s.redis.PID()) }

func (t *trial) stopSharer(_ context.Context, i int) error {
	return t.stop(nodeNames[i], t.s.nodes[i].sharer(t.logFrom[i]))
}

func (t *trial) save(ctx context.Context, _ int) error {
	if _, is := t.stopped["store"]; is {
		return errNothing
	}
	if err := t.s.saveStore(ctx, t.dumps+1); err != nil {
		if ctx.Err() == nil {
			err = errNothing // it is cut off
		}
		return err
	}
	t.dumps++
	t.note(event{kind: storeSaved, dump: t.dumps})
	return nil
}

// restoreStore kills the store and starts it with the last dump, an older one or
// none.
func (t *trial) restoreStore(ctx context.Context, _ int) error {
	dump := t.dumps
	switch n := t.r.IntN(10); {
	case n == 0:
		dump = 0
	case n < 6:
		dump = t.r.IntN(t.dumps + 1)
	}
	return t.load(ctx, dump)
}

func (t *trial) load(ctx context.Context, dump int) error {
	t.goOn("store")
	if err := t.mend("store"); err != nil {
		return err
	}
	t.note(event{kind: storeLoaded, dump: dump})
	return t.s.loadStore(ctx, dump)
}

func (t *trial) killSharer(_ context.Context, i int) error {
	pid := t.s.nodes[i].sharer(t.logFrom[i])
	if pid == 0 {
		return errNothing
	}
	t.note(event{kind: sharerDown, node: i})
	delete(t.stopped, nodeNames[i])
	if p, err := os.FindProcess(pid); err != nil || p.Kill() != nil {
		return errNothing
	}
	return nil
}

func (t *trial) killNode(ctx context.Context, i int) error {
	n := t.s.nodes[i]
	t.note(event{kind: nodeDown, node: i})
	delete(t.stopped, n.name)
	clear(t.seen[i])
	n.proc.Kill()
	n.stop()
	t.logFrom[i] = n.logSize()
	if err := n.start(ctx, t.s.host[n.name], true); err != nil {
		return err
	}
	t.note(event{kind: nodeUp, node: i})
	return nil
}

func (t *trial) ban(ctx context.Context, i int) error {
	at := t.now()
	source := netip.AddrFrom4([4]byte{127, 88, byte(t.last >> 8), byte(t.last)}).String()
	t.last++
	if _, err := ask[control.Banned](ctx, t.s.nodes[i], &control.Request{Verb: control.VerbBan, Network: source, Seconds: banLength}); err != nil {
		return err
	}
	t.bans = append(t.bans, source)
	t.note(event{kind: banMade, at: at, node: i, source: source})
	return nil
}

// lift lifts a ban at a node that has it.
func (t *trial) lift(ctx context.Context, i int) error {
	k := slices.IndexFunc(t.bans, func(b string) bool { return t.seen[i][b] && t.r.IntN(4) == 0 })
	if k < 0 {
		return errNothing
	}
	source := t.bans[k]
	t.bans = slices.Delete(t.bans, k, k+1)
	t.note(event{kind: banLifted, node: i, source: source})
	_, err := ask[control.Lifted](ctx, t.s.nodes[i], &control.Request{Verb: control.VerbLift, Network: source})
	return err
}

// observe notes what each node has in its penalty box now and had not, or had.
func (t *trial) observe(ctx context.Context) {
	for i, n := range t.s.nodes {
		list, err := n.banList(ctx)
		at := t.now()
		if err != nil {
			continue
		}
		for source := range list {
			if strings.HasPrefix(source, "127.88.") && !t.seen[i][source] {
				t.seen[i][source] = true
				t.note(event{kind: banSeen, node: i, source: source})
			}
		}
		for _, source := range slices.Sorted(maps.Keys(t.seen[i])) {
			if !list[source] {
				delete(t.seen[i], source)
				t.note(event{kind: banGone, at: at, node: i, source: source})
			}
		}
	}
}
