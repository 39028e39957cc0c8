package session

import (
	"net"
	"net/netip"
	"sync"
)

// A Table holds the sessions of a port. Its methods may be called concurrently.
type Table struct {
	max int

	mu    sync.Mutex
	conns map[key]*Conn
	live  int   // sessions that have not left, evicted ones too
	pools pools // strangers, and those whose clients are known to be there
}

// The pools of sessions. Anybody can send a datagram in another's name, but
// only who gets the answers can go on after one.
const (
	strangers = iota
	known
)

// strangerShare is the part of all places that strangers may keep from others:
// as long as they have more, one of them goes first.
const strangerShare = 4

// maxSlack bounds how many sessions there may be beyond the limit while evicted
// ones end.
const maxSlack = 64

// A key tells sessions apart: clients, and the addresses of ours that they send
// to, as answers have to come from there.
type key struct {
	peer  netip.AddrPort
	local netip.Addr
	name  string // a UNIX client's
}

// NewTable returns a Table for max sessions.
func NewTable(max int) *Table {
	return &Table{max: max, conns: make(map[key]*Conn)}
}

// Spare returns how many sessions more than max there may be for a while.
func Spare(max int) int { return min(max, maxSlack) }

func keyOf(d Datagram) (k key) {
	switch a := d.RemoteAddr().(type) {
	case *net.UDPAddr:
		k.peer = a.AddrPort()
		k.peer = netip.AddrPortFrom(k.peer.Addr().Unmap(), k.peer.Port())
	case nil:
	default:
		k.name = a.String()
	}
	if a, ok := d.LocalAddr().(*net.UDPAddr); ok {
		k.local = a.AddrPort().Addr().Unmap()
	}
	return k
}

// source returns what k is counted under: an IPv4 address, an IPv6 /64, or for
// UNIX clients nothing.
func (k key) source() netip.Addr {
	a := k.peer.Addr()
	if !a.Is6() {
		return a
	}
	p, _ := a.WithZone("").Prefix(64)
	return p.Addr()
}

// Take gives a datagram to its client's session, or makes one, which it returns:
// for that, Begin and Leave have to be called. ok is false if it was dropped
// because there are too many sessions. The datagram is the Table's from then on.
func (t *Table) Take(d Datagram) (c *Conn, ok bool) {
	k := keyOf(d)
	t.mu.Lock()
	if c := t.conns[k]; c != nil {
		t.pools.touch(c)
		c.put(d)
		t.mu.Unlock()
		return nil, true
	}
	if t.live >= t.max+Spare(t.max) {
		t.mu.Unlock()
		d.Close()
		return nil, false
	}
	evict := func(error) {}
	if len(t.conns) >= t.max {
		evict = t.evictOne()
	}
	c = t.add(newConn(d, k))
	c.put(d)
	t.mu.Unlock()
	evict(ErrEvicted)
	return c, true
}

// add makes c one of the sessions.
func (t *Table) add(c *Conn) *Conn {
	t.live++
	t.conns[c.key] = c
	t.pools[strangers].add(c)
	return c
}

// remove takes c out, so that it gets no more datagrams.
func (t *Table) remove(c *Conn) {
	delete(t.conns, c.key)
	c.gone = true
	t.pools.of(c).remove(c)
}

// evictOne takes out the session that has to go for another, and returns what
// ends it.
func (t *Table) evictOne() func(why error) {
	p := &t.pools[known]
	if s := &t.pools[strangers]; s.n > t.max/strangerShare || p.n == 0 {
		p = s
	}
	c := p.oldest()
	t.remove(c)
	c.evicted = true
	if c.evict == nil {
		return func(error) {} // Begin ends it
	}
	return c.evict
}

// Begin says how c is evicted: evict is called once, and must not block. It is
// called at once if c has been evicted already.
func (t *Table) Begin(c *Conn, evict func(why error)) {
	t.mu.Lock()
	c.evict = evict
	late := c.evicted
	t.mu.Unlock()
	if late {
		evict(ErrEvicted)
	}
}

// Leave gives c's place back. If again is true, what has come and was not read
// becomes a session of its own, which it returns.
func (t *Table) Leave(c *Conn, again bool) (next *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live--
	if !c.gone {
		t.remove(c)
	} else {
		again = false
	}
	rest := c.rest()
	if !again || len(rest) == 0 {
		for _, d := range rest {
			c.free(d)
		}
		return nil
	}
	next = t.add(newConn(rest[0], c.key))
	for _, d := range rest {
		next.put(d)
	}
	return next
}

// Len returns how many sessions there are.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live
}
