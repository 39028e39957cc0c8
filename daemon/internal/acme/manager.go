package acme

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/place"
)

// A Manager keeps a certificate for each of its names in the storage.
type Manager struct {
	c      Config
	log    *slog.Logger
	deploy func(context.Context, []wire.Challenge) error
	wake   chan struct{} // has something if failures may be tried again
	tally  *Tally
	now    func() time.Time
	obtain func(ctx context.Context, directory, name string) ([]byte, error) // order, but for tests

	sharing *sharing      // with other nodes; nil is nobody
	look    chan struct{} // has something if another order may be due

	store   *Storage
	joined  map[string]*authority
	unsaved map[string][]byte // certificates that were given and could not be written

	mu     sync.Mutex // for what follows, and changes of certificates
	past   map[string]*past
	unsure bool // that the state is on the disk
}

// New returns a Manager. deploy has every process that serves answer the
// challenges of these names, and no others, before it returns; nil takes them
// back. Certificates are shared with the nodes of with, nil for nobody.
func New(c Config, log *slog.Logger, deploy func(context.Context, []wire.Challenge) error, with *Cluster) *Manager {
	m := &Manager{c: c, log: log, deploy: deploy, wake: make(chan struct{}, 1), look: make(chan struct{}, 1), tally: new(Tally), now: time.Now,
		past: make(map[string]*past), unsaved: make(map[string][]byte), joined: make(map[string]*authority)}
	m.obtain = m.order
	if with != nil {
		m.sharing = newSharing(m, with)
	}
	return m
}

// Hurry has what failed tried again soon, as what was wrong may have been
// mended. It may be called at any time.
func (m *Manager) Hurry() { signal(m.wake) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run orders and renews certificates until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	m.tally.begin()
	if err := m.open(); err != nil {
		for _, n := range m.c.Names {
			m.tally.stands(n, standing{failed: m.now()})
		}
		m.log.Error(fmt.Sprintf("acme_storage %s %v; no certificate is ordered or renewed until the next reload", m.c.Storage, err))
		return
	}
	defer m.store.Close()
	defer m.sharing.begin(ctx)()
	for {
		name, at := m.next()
		if !m.sleep(ctx, at.Sub(m.now())) {
			return
		}
		if now := m.now(); !at.After(now) {
			m.attempt(ctx, name)
		}
	}
}

// open reads what the storage holds, and says what is going to happen.
func (m *Manager) open() (err error) {
	if m.store, err = OpenStorage(m.c.Storage); err != nil {
		return err
	}
	gone, err := m.store.retire(m.c.Names)
	for _, name := range gone {
		logging.Notice(m.log, fmt.Sprintf("acme: %s is not in acme_domains any more: its certificate is no longer served, and was moved to %s", name, dirRetired))
	}
	if err != nil {
		m.log.Warn(fmt.Sprintf("acme: cannot take away the certificates of names that are not wanted any more: %v", place.WithoutPath(err)))
	}
	data, err := m.store.read(fileState)
	if err == nil {
		err = json.Unmarshal(data, &m.past)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn(fmt.Sprintf("acme: %s cannot be read, and is made anew: %v", fileState, err))
	}
	if m.past == nil {
		m.past = make(map[string]*past)
	}
	maps.DeleteFunc(m.past, func(name string, p *past) bool { return p == nil || !slices.Contains(m.c.Names, name) })
	for _, name := range m.c.Names {
		if m.past[name] == nil {
			m.past[name] = new(past)
		}
		m.past[name].hurry()
		leaf := m.store.held(name)
		if leaf == nil {
			logging.Notice(m.log, fmt.Sprintf("acme: there is no certificate for %s yet: until %s gives one, clients get one that nobody has signed", name, m.c.Directory))
		} else {
			m.past[name].Leaf = digestOf(leaf)
			m.log.Debug("acme certificate", "name", name, "expires", leaf.NotAfter, "renewal", m.due(name, m.now(), leaf))
		}
	}
	return nil
}

// due returns when the next order for a name is to be made, whose certificate
// leaf is, nil for none. The lock is held.
func (m *Manager) due(name string, now time.Time, leaf *x509.Certificate) time.Time {
	return m.sharing.later(name, leaf, m.past[name].due(now, leaf))
}

// next returns whose order is to be made next, and when, and has metrics tell of
// all.
func (m *Manager) next() (name string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for _, n := range m.c.Names {
		p := m.past[n]
		t := m.due(n, now, m.store.held(n))
		s := standing{next: t}
		if p.Failures > 0 {
			s.failed = p.Last
		}
		m.tally.stands(n, s)
		if name == "" || t.Before(at) {
			name, at = n, t
		}
	}
	return name, at
}

// sleep waits for d, but for an hour at most: the clock may be set, and files
// removed. It reports whether ctx goes on.
func (m *Manager) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(min(max(0, d), lookEvery))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-m.look:
	case <-m.wake:
		m.mu.Lock()
		for _, p := range m.past {
			p.hurry()
		}
		m.mu.Unlock()
	case <-t.C:
	}
	return ctx.Err() == nil
}

// attempt makes an order for a name, unless another node does, and notes how it
// went.
func (m *Manager) attempt(ctx context.Context, name string) {
	turn, mine := m.sharing.turn(ctx, name)
	if !mine {
		return
	}
	defer turn.end()
	leaf, err := m.renew(turn.within(ctx), name)
	switch {
	case ctx.Err() != nil: // the server ends, or the configuration is another
	case turn.lost():
		m.log.Warn(fmt.Sprintf("acme: the order for %s is given up: another node may make one, as the store of the cluster has not answered for long", name))
	default:
		m.ended(ctx, name, leaf, err)
	}
}

// ended notes how an order has ended.
func (m *Manager) ended(ctx context.Context, name string, leaf *x509.Certificate, err error) {
	m.mu.Lock()
	now, p := m.now(), m.past[name]
	m.tally.ordered(err)
	if err == nil {
		p.succeeded(now, leaf)
		m.keepState()
		logging.Notice(m.log, fmt.Sprintf("acme: certificate for %s obtained, valid until %s; to be renewed on %s", name, date(leaf.NotAfter), date(m.due(name, now, leaf))))
	} else {
		text := wire.Clean(reason(err), maxReason)
		p.failed(now, err, text)
		m.keepState()
		m.log.Error(fmt.Sprintf("acme: no certificate for %s: %s; %s; next try on %s", name, text, m.serving(name, now), date(p.Next)))
		m.joined = make(map[string]*authority) // an account may be gone
	}
	shared := *p
	m.mu.Unlock()
	m.sharing.ordered(ctx, name, shared)
}

// maxReason is how much of what an authority says is logged.
const maxReason = 600

// reason puts what the authority says last in words.
func reason(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// serving says what clients get meanwhile.
func (m *Manager) serving(name string, now time.Time) string {
	switch leaf := m.store.held(name); {
	case leaf == nil:
		return "clients get one that nobody has signed"
	case now.After(leaf.NotAfter):
		return "the one in use ended on " + date(leaf.NotAfter)
	default:
		return "the one in use is valid until " + date(leaf.NotAfter)
	}
}

// renew gets a certificate for a name, and puts it into the storage.
func (m *Manager) renew(ctx context.Context, name string) (*x509.Certificate, error) {
	text := m.unsaved[name]
	if text == nil {
		if err := m.store.checkRoom(); err != nil {
			return nil, fmt.Errorf("acme_storage %s cannot be written to, so none is ordered: %w", m.c.Storage, place.WithoutPath(err))
		}
		var err error
		if text, err = m.orderFor(ctx, name); err != nil {
			return nil, err
		}
	}
	leaf, err := check(text, name, m.now())
	if err != nil {
		delete(m.unsaved, name)
		return nil, err
	}
	m.sharing.offer(ctx, name, text)
	m.mu.Lock()
	err = m.store.write(certificate(name), text)
	m.mu.Unlock()
	if err != nil {
		m.unsaved[name] = text
		return nil, fmt.Errorf("it was given, but acme_storage %s cannot be written to: %w; it is kept in memory", m.c.Storage, place.WithoutPath(err))
	}
	delete(m.unsaved, name)
	return leaf, nil
}

// orderFor makes an order. After a failure the staging directory is tried first,
// whose limits are wide: a failure there costs nothing.
func (m *Manager) orderFor(ctx context.Context, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, orderTime, fmt.Errorf("the order has taken %v", orderTime))
	defer cancel()
	m.mu.Lock()
	failures := m.past[name].Failures
	m.mu.Unlock()
	if failures > 0 && m.c.Staging != "" {
		if _, err := m.obtain(ctx, m.c.Staging, name); err != nil {
			return nil, fmt.Errorf("tried at the staging directory first: %w", because(ctx, err))
		}
	}
	text, err := m.obtain(ctx, m.c.Directory, name)
	return text, because(ctx, err)
}

// because puts the cause into an error that comes of the end of ctx.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// order is one order at a directory.
func (m *Manager) order(ctx context.Context, directory, name string) ([]byte, error) {
	a := m.joined[directory]
	if a == nil {
		var err error
		if a, err = m.join(ctx, directory); err != nil {
			return nil, err
		}
		m.joined[directory] = a
	}
	return a.obtain(ctx, name)
}

// keepState writes down what failed.
func (m *Manager) keepState() {
	data, err := json.MarshalIndent(m.past, "", " ")
	if err == nil {
		err = m.store.write(fileState, data)
	}
	if err != nil && !m.unsure {
		m.log.Warn(fmt.Sprintf("acme: %s cannot be written, so that a start would not know of failures: %v", fileState, place.WithoutPath(err)))
	}
	m.unsure = err != nil
}
