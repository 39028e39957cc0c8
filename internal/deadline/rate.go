package deadline

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// Minimum are the minimum rates of a client, in bytes a second; 0 is none.
type Minimum struct {
	Read, Write int
	Window      time.Duration // of waiting for the client, over which a rate must hold
}

// A Client is whom minimum rates are for.
type Client interface {
	// Counts returns how many bytes the handler has read and written so far.
	Counts() (in, out uint64)
	// TooSlow ends the client. It is called once at most for a direction.
	TooSlow(err error)
}

// Rates are the minimum rates of a client that has any.
//
// What counts as the client's time is only what the server spends in waiting
// for it: a read that waits for its bytes, or a write that waits until it takes
// some. A handler that is busy elsewhere charges nobody. When that time adds up
// to a window, the bytes that have passed since the window began must be the
// rate's worth; then the next window begins.
//
// A timer for each direction looks after that. It runs only while somebody
// waits, so a read or write sets none as a rule.
//
// The methods of a nil *Rates do nothing. Methods may be called
// concurrently.
type Rates struct {
	read, write meter
}

// NewRates returns the rates of c, whose accepted connection is raw; nil if it
// has none.
func NewRates(v *Minimum, c Client, raw net.Conn) *Rates {
	if v.Read == 0 && v.Write == 0 {
		return nil
	}
	r := new(Rates)
	r.read.init(c, "min_read_rate", v.Read, v.Window)
	r.write.init(c, "min_write_rate", v.Write, v.Window)
	r.read.count = r.read.moved
	r.write.count, r.write.slack = takenBy(c, raw)
	return r
}

// BeginRead is called before a read that may wait for the client, and EndRead
// after it.
func (r *Rates) BeginRead() {
	if r != nil {
		r.read.begin()
	}
}

// EndRead ends what BeginRead began.
func (r *Rates) EndRead() {
	if r != nil {
		r.read.end()
	}
}

// BeginWrite is BeginRead for writes.
func (r *Rates) BeginWrite() {
	if r != nil {
		r.write.begin()
	}
}

// EndWrite ends what BeginWrite began.
func (r *Rates) EndWrite() {
	if r != nil {
		r.write.end()
	}
}

// A receiver is a connection that counts what has come below it, and not only
// what a reader got of it.
type receiver interface{ Received() uint64 }

// Follow makes nc what bytes are counted on, when TLS starts or ends: a record
// of it that drips in is no byte yet for the handler, but some for the rate.
func (r *Rates) Follow(nc net.Conn) {
	if r == nil {
		return
	}
	r.read.mu.Lock()
	r.read.below, _ = nc.(receiver)
	r.read.fresh()
	r.read.mu.Unlock()
}

// Stop ends the timers.
func (r *Rates) Stop() {
	if r == nil {
		return
	}
	for _, m := range [...]*meter{&r.read, &r.write} {
		m.mu.Lock()
		m.over = true
		if m.timer != nil {
			m.timer.Stop()
		}
		m.mu.Unlock()
	}
}

// A meter watches one direction.
type meter struct {
	c     Client
	key   string // of the rate
	rate  float64
	every time.Duration // the window
	count func() uint64 // what has passed so far
	slack uint64        // bytes that count may be behind

	mu      sync.Mutex
	below   receiver
	waiters int           // waiting now: one reader, or any number of writers
	since   time.Time     // when that began
	waited  time.Duration // in this window, before since
	due     time.Duration // of waiting until the next look; zero before the first window
	start   uint64        // count at the window's begin
	timer   *time.Timer
	armed   bool
	over    bool // the client has been found too slow, or is gone
}

func (m *meter) init(c Client, key string, rate int, window time.Duration) {
	m.c, m.key, m.rate, m.every = c, key, float64(rate), window
	m.over = rate == 0
}

// fresh begins a new window, now or with the next wait.
func (m *meter) fresh() {
	m.waited, m.due = 0, 0
	if m.waiters > 0 {
		m.since, m.due, m.start = time.Now(), m.every, m.count()
	}
}

// begin notes that somebody waits for the client from now on.
func (m *meter) begin() {
	m.mu.Lock()
	if m.waiters++; m.waiters == 1 && !m.over {
		m.since = time.Now()
		if m.due == 0 {
			m.due, m.start = m.every, m.count()
		}
		m.arm()
	}
	m.mu.Unlock()
}

// end notes that the wait is over.
func (m *meter) end() {
	m.mu.Lock()
	if m.waiters--; m.waiters == 0 && !m.over {
		m.waited += time.Since(m.since)
	}
	m.mu.Unlock()
}

// arm makes sure that look runs when the window may be full. A timer that
// fires early finds that out.
func (m *meter) arm() {
	if m.armed {
		return
	}
	m.armed = true
	d := max(m.due-m.waited, time.Millisecond)
	if m.timer == nil {
		m.timer = time.AfterFunc(d, m.look)
	} else {
		m.timer.Reset(d)
	}
}

// look judges a window that is full, and cuts the client if it is too slow.
func (m *meter) look() {
	if err := m.judge(time.Now()); err != nil {
		m.c.TooSlow(err)
	}
}

func (m *meter) judge(now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.armed = false
	if m.over {
		return nil
	}
	if m.waiters > 0 {
		m.waited += now.Sub(m.since)
		m.since = now
	}
	if m.due == 0 {
		m.due, m.start = m.every, m.count() // TLS has started meanwhile
	}
	if m.waited >= m.due {
		if err := m.full(); err != nil {
			m.over = true
			return err
		}
	}
	if m.waiters > 0 {
		m.arm()
	}
	return nil
}

// full judges a window and begins the next.
func (m *meter) full() error {
	total := m.count()
	passed := float64(total - m.start)
	switch asked := m.rate * m.waited.Seconds(); {
	case passed >= asked:
		m.start, m.waited, m.due = total, 0, m.every
		return nil
	case passed+float64(m.slack) >= asked:
		// What the kernel still holds may have been taken: wait until even
		// then it would be too little.
		m.due = max(time.Duration((passed+float64(m.slack))/m.rate*float64(time.Second)), m.waited) + m.every/8
		return nil
	}
	return fmt.Errorf("%w: %.0f bytes in %v of waiting for it, and %s is %.0f a second",
		ErrTooSlow, passed, m.waited.Round(time.Millisecond), m.key, m.rate)
}

// moved counts for the read rate: what came, and what the client took
// meanwhile, as nobody sends a request while its answer still comes.
func (m *meter) moved() uint64 {
	in, out := m.c.Counts()
	if m.below != nil {
		in = m.below.Received()
	}
	return in + out
}
