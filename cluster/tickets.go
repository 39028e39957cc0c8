package cluster

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

const (
	secretSize    = 32
	maxGeneration = 1 << 16
	keptGens      = 8           // of an epoch
	bumpEvery     = time.Minute // new generations
	epochsAhead   = 2           // of this node's clock, that a secret is taken for
)

// A ticketID is an epoch, and which of its secrets: the last generation seals.
type ticketID struct{ epoch, gen uint64 }

func (t ticketID) compare(u ticketID) int {
	return cmp.Or(cmp.Compare(t.epoch, u.epoch), cmp.Compare(t.gen, u.gen))
}

func (t ticketID) slot() slot { return slot{kind: ticketsAt, epoch: t.epoch, gen: t.gen} }

// A ticketSecret is what tickets are made with.
type ticketSecret struct {
	secret []byte
	shared bool // it was in the store; no other is taken in its place then
	stored bool // it is there now, as far as is known
	drop   bool // see ticketBody
	since  uint64
	old    uint64 // revision of what is stored, if it is not sealed by the key that seals; else 0
}

// LogValue hides the secret, as do String and GoString.
func (*ticketSecret) LogValue() slog.Value { return slog.StringValue("ticket secret") }

func (*ticketSecret) String() string   { return "ticket secret" }
func (*ticketSecret) GoString() string { return "ticket secret" }

// LogValue hides the secrets, as do String and GoString.
func (t Tickets) LogValue() slog.Value { return slog.StringValue(t.String()) }

// String hides the secrets.
func (t Tickets) String() string {
	return fmt.Sprintf("ticket secrets of epoch %d and %d others", t.Epoch, len(t.Past))
}

// GoString hides the secrets.
func (t Tickets) GoString() string { return t.String() }

// A ticketBox holds the secrets of the epochs around now.
type ticketBox struct {
	known    map[ticketID]*ticketSecret
	since    uint64            // epochs before were dropped
	floor    map[uint64]uint64 // generations of an epoch before this were dropped
	own      []ownSecret       // made here and used while the store was away
	bump     bool              // a new generation is needed, since two secrets of one are about
	nextBump time.Time
	told     *Tickets
	alone    bool // it was said that the secret is this node's alone

	nextReseal time.Time              // by the steady clock
	unread     map[ticketID]time.Time // values that could not be read, and when each is read again
}

// An ownSecret is one that no other node has.
type ownSecret struct {
	secret []byte
	until  time.Time // the end of its tickets
}

func (n *Node) epochAt(t time.Time) uint64 {
	return uint64(max(t.UnixMilli(), 0) / n.cfg.Epoch.Milliseconds())
}

// epoch returns the epoch that tickets are sealed in at a time: the one of the
// clock, or the next if a node whose clock is ahead has had all before dropped.
func (n *Node) epoch(now time.Time) uint64 { return max(n.epochAt(now), n.tickets.since) }

// over reports whether no ticket of an epoch can be valid any more.
func (n *Node) over(epoch uint64, now time.Time) bool {
	return !n.windowEnd(epoch).After(now)
}

// windowEnd returns when the last ticket of an epoch ends.
func (n *Node) windowEnd(epoch uint64) time.Time {
	return time.UnixMilli(int64(epoch+1) * n.cfg.Epoch.Milliseconds()).Add(n.cfg.TicketLife)
}

// dropped reports whether a secret is not to be used again.
func (b *ticketBox) dropped(id ticketID) bool {
	return id.epoch < b.since || id.gen < b.floor[id.epoch]
}

// last returns the newest generation of an epoch.
func (b *ticketBox) last(epoch uint64) (id ticketID, s *ticketSecret) {
	for k, v := range b.known {
		if k.epoch == epoch && (s == nil || k.gen > id.gen) {
			id, s = k, v
		}
	}
	return id, s
}

// takeTicket takes a secret that was in the store.
func (n *Node) takeTicket(at slot, e *envelope) error {
	b, id, now := &n.tickets, ticketID{at.epoch, at.gen}, n.clock.now()
	switch body := e.Ticket; {
	case n.over(id.epoch, now):
		return errors.New("a ticket secret whose time is over")
	case id.epoch > n.epochAt(now)+epochsAhead:
		return errors.New("a ticket secret of an epoch that is far ahead")
	case body.Length != int64(n.cfg.Epoch/time.Second):
		return errors.New("a ticket secret of a node whose epochs have another length")
	case b.dropped(id):
		return nil // as is known
	case b.known[id] == nil || !b.known[id].shared:
		mine := b.known[id]
		b.known[id] = &ticketSecret{secret: bytes.Clone(body.Secret), shared: true, drop: body.Drop, since: body.Since}
		if mine != nil && !bytes.Equal(mine.secret, body.Secret) {
			n.keepOwn(mine.secret, id.epoch, now)
			if mine.drop && !body.Drop { // what was to be forgotten by all still is not
				n.newGeneration(n.epoch(now), true)
			}
		}
	case !bytes.Equal(b.known[id].secret, body.Secret):
		// Whichever it is, not all have it: they move on to another.
		if last, _ := b.last(id.epoch); last == id {
			b.bump = true
		}
		return fmt.Errorf("a second secret for ticket epoch %d, generation %d: the store has lost writes or is an old copy", id.epoch, id.gen)
	}
	s := b.known[id]
	if s == nil { // it was just dropped
		return nil
	}
	s.stored = true
	if s.drop {
		n.drop(id, s.since)
	}
	b.trim(id.epoch)
	n.dirty.tickets = true
	return nil
}

// keepOwn has tickets of a secret of this node's alone still opened for a while.
func (n *Node) keepOwn(secret []byte, epoch uint64, now time.Time) {
	b, until := &n.tickets, now.Add(n.cfg.TicketLife)
	if end := n.windowEnd(epoch); end.Before(until) {
		until = end
	}
	b.own = slices.Insert(b.own, 0, ownSecret{secret, until})
	b.own = b.own[:min(len(b.own), keptGens)]
}

// drop forgets the secrets before a generation.
func (n *Node) drop(id ticketID, since uint64) {
	b := &n.tickets
	b.since = max(b.since, since)
	if b.floor == nil {
		b.floor = make(map[uint64]uint64)
	}
	b.floor[id.epoch] = max(b.floor[id.epoch], id.gen)
	b.own = nil
	maps.DeleteFunc(b.known, func(k ticketID, _ *ticketSecret) bool { return b.dropped(k) })
}

// trim bounds the generations of an epoch.
func (b *ticketBox) trim(epoch uint64) {
	var ids []ticketID
	for k := range b.known {
		if k.epoch == epoch {
			ids = append(ids, k)
		}
	}
	slices.SortFunc(ids, ticketID.compare)
	for len(ids) > keptGens {
		delete(b.known, ids[0])
		ids = ids[1:]
	}
}

// ageTickets forgets what is over, and makes what is missing. It returns the
// secrets to be put into the store.
func (n *Node) ageTickets(now time.Time) (missing []ticketID) {
	b, e := &n.tickets, n.epoch(now)
	maps.DeleteFunc(b.known, func(k ticketID, _ *ticketSecret) bool { return n.over(k.epoch, now) })
	maps.DeleteFunc(b.floor, func(k, _ uint64) bool { return n.over(k, now) })
	b.own = slices.DeleteFunc(b.own, func(o ownSecret) bool { return !o.until.After(now) })
	if n.up && b.bump && !now.Before(b.nextBump) {
		b.bump, b.nextBump = false, now.Add(bumpEvery)
		n.newGeneration(e, false)
	}
	may := n.synced || b.told != nil && n.over(b.told.Epoch, now) // else nothing is made before it is known what there is
	for epoch := e; epoch <= e+epochsAhead; epoch++ {
		id, s := b.last(epoch)
		if s == nil && may && epoch <= e+1 {
			id = ticketID{epoch, b.floor[epoch]}
			s = n.makeSecret(id)
		}
		if s != nil && !s.stored && n.up && !(s.drop && now.Before(b.nextBump)) {
			missing = append(missing, id)
		}
	}
	n.tellTickets(e, now)
	return missing
}

func (n *Node) makeSecret(id ticketID) *ticketSecret {
	s := &ticketSecret{secret: make([]byte, secretSize)}
	rand.Read(s.secret)
	n.tickets.known[id] = s
	return s
}

// newGeneration makes other secrets for the epochs that have some. With drop,
// those before are forgotten, here at once.
func (n *Node) newGeneration(e uint64, drop bool) {
	b := &n.tickets
	for epoch := e; epoch <= e+epochsAhead; epoch++ {
		id, s := b.last(epoch)
		if s == nil && drop && epoch == e && len(b.known)+len(b.own) > 0 { // it has just begun
			id = ticketID{e, b.floor[e]}
		} else if s == nil {
			continue
		}
		if id.gen++; id.gen > maxGeneration {
			continue
		}
		s = n.makeSecret(id)
		if s.drop = drop; drop {
			s.since = e
			n.drop(id, e)
		}
		b.trim(epoch)
	}
	n.dirty.tickets = true
}

// tellTickets tells which secrets are to be used, if that has changed.
func (n *Node) tellTickets(e uint64, now time.Time) {
	b := &n.tickets
	id, cur := b.usable(e, n.up)
	if cur == nil && b.told != nil {
		id, cur = b.instead(e, n.up)
	}
	if cur == nil {
		return // the server goes on with its own
	}
	if !cur.shared && !n.up && !b.alone {
		b.alone = true
		n.log.Warn("cluster: the store does not answer and this epoch of session tickets has no shared secret: tickets of this node are good here alone until it is back")
	} else if cur.shared {
		b.alone = false
	}
	t := &Tickets{Epoch: id.epoch, Current: bytes.Clone(cur.secret)}
	for _, k := range slices.Backward(slices.SortedFunc(maps.Keys(b.known), ticketID.compare)) {
		if k != id && len(t.Past) < MaxTickets {
			t.Past = append(t.Past, bytes.Clone(b.known[k].secret))
		}
	}
	for _, own := range b.own {
		if len(t.Past) < MaxTickets {
			t.Past = append(t.Past, bytes.Clone(own.secret))
		}
	}
	if b.told == nil || !sameTickets(b.told, t) {
		b.told = t
		n.dirty.tickets, n.dirty.status = true, true
		n.wakeTeller()
	}
}

// usable returns the secret of an epoch to seal with: the newest that others
// have, unless the store is away, or this node alone must move on.
func (b *ticketBox) usable(e uint64, up bool) (id ticketID, s *ticketSecret) {
	for k, v := range b.known {
		if k.epoch == e && (v.shared || !up || v.drop) && (s == nil || k.gen > id.gen) {
			id, s = k, v
		}
	}
	return id, s
}

// instead returns the secret to seal with where none of this epoch can be had from
// the store, although it answers: that of an epoch before that was told already or
// is later, as the others open it until its time is over, or else this node's own.
func (b *ticketBox) instead(e uint64, up bool) (id ticketID, s *ticketSecret) {
	for epoch := e; epoch > b.told.Epoch && s == nil; epoch-- {
		id, s = b.usable(epoch-1, up)
	}
	if s == nil {
		id, s = b.last(e)
	}
	return id, s
}

func sameTickets(a, b *Tickets) bool {
	return a.Epoch == b.Epoch && bytes.Equal(a.Current, b.Current) && slices.EqualFunc(a.Past, b.Past, bytes.Equal)
}

// putTicket puts a secret of this node into the store, unless another has been
// first: then that is taken.
func (n *Node) putTicket(ctx context.Context, id ticketID) error {
	n.mu.Lock()
	s := n.tickets.known[id]
	if s == nil || s.stored {
		n.mu.Unlock()
		return nil
	}
	n.mu.Unlock()
	key := id.slot().key()
	value, ttl, err := n.sealTicket(id, s)
	if err != nil {
		return err
	}
	_, err = n.put(ctx, key, value, 0, ttl)
	if err == nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.tickets.known[id] == s {
			s.shared, s.stored = true, true
		}
		if s.drop {
			n.tickets.nextBump = n.clock.now().Add(bumpEvery)
		}
		n.tellTickets(n.epoch(n.clock.now()), n.clock.now())
		return nil
	}
	if !errors.Is(err, ErrChanged) {
		return err
	}
	v, err := n.cfg.Store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return n.store(err)
	}
	n.receive(Event{Key: key, Value: v})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tellTickets(n.epoch(n.clock.now()), n.clock.now())
	return nil
}

// sealTicket makes the value of a secret, and says how long it stays.
func (n *Node) sealTicket(id ticketID, s *ticketSecret) (value []byte, ttl time.Duration, err error) {
	n.mu.Lock()
	body := &ticketBody{Secret: s.secret, Drop: s.drop, Since: s.since, Length: int64(n.cfg.Epoch / time.Second)}
	ttl = min(max(n.windowEnd(id.epoch).Sub(n.clock.now()), time.Second), MaxTTL)
	n.mu.Unlock()
	value, err = n.seal(id.slot(), envelope{Ticket: body})
	return value, ttl, err
}

// Distrust makes new ticket secrets and has every node forget those before:
// somebody may have them. Here that is so at once; others follow when the store
// has it, once a minute at most.
func (n *Node) Distrust() {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.clock.now()
	n.newGeneration(n.epoch(now), true)
	n.tellTickets(n.epoch(now), now)
	n.wakeWriter()
}
