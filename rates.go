package netserver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"netserver/proto"
)

// rates are the minimum rates of a client that has any.
//
// What counts as the client's time is only what the server spends in waiting
// for it: a read that waits for its bytes, or a write that waits until it takes
// some. A Handler that is busy elsewhere charges nobody. When that time adds up
// to a window, the bytes that have passed since the window began must be the
// rate's worth; then the next window begins.
//
// A timer for each direction looks after that. It runs only while somebody
// waits, so a read or write sets none as a rule.
type rates struct {
	read, write meter
}

// newRates returns nil if the client has no minimum rates.
func newRates(c *Conn) *rates {
	cfg := &c.l.cfg
	if c.l.datagram != nil || cfg.minReadRate() == 0 && cfg.minWriteRate() == 0 {
		return nil
	}
	r := new(rates)
	r.read.init(c, "min_read_rate", cfg.minReadRate())
	r.write.init(c, "min_write_rate", cfg.minWriteRate())
	r.read.count = r.read.moved
	r.write.count, r.write.slack = takenBy(c)
	return r
}

// follow makes nc what bytes are counted on, when TLS starts or ends: a record
// of it that drips in is no byte yet for the Handler, but some for the rate.
func (r *rates) follow(nc net.Conn) {
	r.read.mu.Lock()
	r.read.tls, _ = nc.(*proto.TLSConn)
	r.read.fresh()
	r.read.mu.Unlock()
}

// stop ends the timers.
func (r *rates) stop() {
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
	c     *Conn
	key   string // of the rate
	rate  float64
	every time.Duration // the window
	count func() uint64 // what has passed so far
	slack uint64        // bytes that count may be behind

	mu      sync.Mutex
	tls     *proto.TLSConn
	waiters int           // waiting now: one reader, or any number of writers
	since   time.Time     // when that began
	waited  time.Duration // in this window, before since
	due     time.Duration // of waiting until the next look; zero before the first window
	start   uint64        // count at the window's begin
	timer   *time.Timer
	armed   bool
	over    bool // the client has been found too slow, or is gone
}

func (m *meter) init(c *Conn, key string, rate int) {
	m.c, m.key, m.rate, m.every = c, key, float64(rate), c.l.cfg.minRateWindow()
	m.over = rate == 0
}

// fresh makes the next wait begin a new window.
func (m *meter) fresh() {
	m.waited, m.due = 0, 0
	if m.waiters > 0 {
		m.since = time.Now()
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
		m.c.tooSlow(err)
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
	in := m.c.in.Load()
	if m.tls != nil {
		in = m.tls.Received()
	}
	return in + m.c.out.Load()
}

// tooSlow ends a client that is below a minimum rate.
func (c *Conn) tooSlow(err error) {
	if !c.run.cfg.LimitsShadow {
		c.cut(err)
		return
	}
	c.l.wouldCut.Add(1)
	if c.run.mayLog(OutcomeTooSlow) {
		c.run.log.LogAttrs(context.Background(), LevelNotice, "would cut", slog.Uint64("client", c.id),
			slog.String("port", c.l.spec.Short()), slog.String("peer", c.RemoteAddr().String()), slog.String("err", err.Error()))
	}
}

// waitsRead is called before a read that may wait for the client, and
// readCame after it.
func (c *Conn) waitsRead() {
	if c.rates != nil {
		c.rates.read.begin()
	}
}

func (c *Conn) readCame() {
	if c.rates != nil {
		c.rates.read.end()
	}
}

// waitsWrite and wrote are the same for writes.
func (c *Conn) waitsWrite() {
	if c.rates != nil {
		c.rates.write.begin()
	}
}

func (c *Conn) wrote() {
	if c.rates != nil {
		c.rates.write.end()
	}
}
