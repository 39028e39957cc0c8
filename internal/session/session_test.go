package session

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A packet is a Datagram for tests.
type packet struct {
	from, to *net.UDPAddr
	mu       sync.Mutex
	data     []byte
	closed   int
	sent     []string
}

func (p *packet) Len() int { p.mu.Lock(); defer p.mu.Unlock(); return len(p.data) }
func (p *packet) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.data)
	p.data = p.data[n:]
	return n, nil
}
func (p *packet) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, string(b))
	return len(b), nil
}
func (p *packet) Close() error                     { p.mu.Lock(); defer p.mu.Unlock(); p.closed++; return nil }
func (p *packet) LocalAddr() net.Addr              { return p.to }
func (p *packet) RemoteAddr() net.Addr             { return p.from }
func (p *packet) SetDeadline(time.Time) error      { return nil }
func (p *packet) SetReadDeadline(time.Time) error  { return nil }
func (p *packet) SetWriteDeadline(time.Time) error { return nil }

// from returns a datagram of the client at the port of 10.0.x.y for host y + 256 x.
func from(host, port int, data string) *packet {
	return &packet{
		from: &net.UDPAddr{IP: net.IPv4(10, 0, byte(host>>8), byte(host)), Port: port},
		to:   &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 53}, data: []byte(data),
	}
}

// take expects a datagram to make a session or not.
func take(t *testing.T, tab *Table, p *packet, makes bool) *Conn {
	t.Helper()
	c, ok := tab.Take(p)
	if !ok || (c != nil) != makes {
		t.Fatalf("%v: a new session: %v, taken %v", p.from, c != nil, ok)
	}
	return c
}

func wantRead(t *testing.T, c *Conn, text string) {
	t.Helper()
	b := make([]byte, 1000)
	if n, err := c.Read(b); err != nil || string(b[:n]) != text {
		t.Fatalf("read %q, %v; want %q", b[:n], err, text)
	}
}

func TestOneClientOneSession(t *testing.T) {
	tab := NewTable(10)
	first := from(1, 1, "a")
	c := take(t, tab, first, true)
	second := from(1, 1, "")
	take(t, tab, second, false)
	take(t, tab, from(1, 1, "long"), false)
	take(t, tab, from(1, 2, "another port"), true)
	elsewhere := from(1, 1, "another of our addresses")
	elsewhere.to = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 53}
	take(t, tab, elsewhere, true)

	wantRead(t, c, "a")
	wantRead(t, c, "")
	if n, err := c.Read(make([]byte, 2)); n != 2 || err != io.ErrShortBuffer {
		t.Errorf("a datagram that is longer than the buffer: %d, %v", n, err)
	}
	c.Write([]byte("answer"))
	if len(first.sent) != 1 || second.closed != 1 || first.closed != 0 {
		t.Errorf("answers by the first: %v; datagrams freed: %d, the first: %d", first.sent, second.closed, first.closed)
	}
	if in, out, dropped := c.Counts(); in != 3 || out != 1 || dropped != 0 {
		t.Errorf("counted %d in, %d out, %d dropped", in, out, dropped)
	}
}

func TestReadsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := NewTable(10)
		c := take(t, tab, from(1, 1, "a"), true)
		wantRead(t, c, "a")
		go func() {
			time.Sleep(time.Second)
			tab.Take(from(1, 1, "later"))
		}()
		wantRead(t, c, "later")
		c.SetReadDeadline(time.Now().Add(time.Hour))
		c.SetReadDeadline(time.Now().Add(time.Minute))
		begin := time.Now()
		if _, err := c.Read(nil); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Minute {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		c.SetReadDeadline(time.Time{})
		take(t, tab, from(1, 1, "b"), false)
		wantRead(t, c, "b")
		time.AfterFunc(time.Second, func() { c.Close() })
		if _, err := c.Read(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestQueueDrops(t *testing.T) {
	for _, v := range []struct{ size, fit int }{{1, maxQueued}, {4 << 10, maxQueuedBytes / (4 << 10)}, {1 << 20, 1}} {
		tab := NewTable(10)
		data := string(make([]byte, v.size))
		c := take(t, tab, from(1, 1, data), true)
		for range 2 * maxQueued {
			take(t, tab, from(1, 1, data), false)
		}
		if in, _, dropped := c.Counts(); int(in-dropped) != v.fit || in != 2*maxQueued+1 {
			t.Errorf("%d bytes: %d of %d wait, want %d", v.size, in-dropped, in, v.fit)
		}
	}
}

func TestRestBeginsAnother(t *testing.T) {
	tab := NewTable(10)
	c := take(t, tab, from(1, 1, "a"), true)
	wantRead(t, c, "a")
	late := from(1, 1, "b")
	take(t, tab, late, false)
	take(t, tab, from(1, 1, "c"), false)
	c.Close()
	take(t, tab, from(1, 1, "d"), false) // before its place is given back
	next := tab.Leave(c, true)
	for _, text := range []string{"b", "c", "d"} {
		wantRead(t, next, text)
	}
	take(t, tab, from(1, 1, "e"), false)
	wantRead(t, next, "e")
	next.Write(nil)
	if len(late.sent) != 1 {
		t.Error("answers do not go by the first datagram of the second session")
	}
	next.Close()
	if tab.Leave(next, true) != nil || tab.Len() != 0 {
		t.Errorf("%d sessions are left", tab.Len())
	}

	unread := take(t, tab, from(1, 1, "a"), true)
	lost := from(1, 1, "b")
	take(t, tab, lost, false)
	unread.Close()
	if tab.Leave(unread, true) != nil {
		t.Error("what a Handler read nothing of is served again")
	}
	if lost.closed != 1 {
		t.Errorf("an unread datagram was freed %d times", lost.closed)
	}
}

// begun gives c an end that is seen.
func begun(tab *Table, c *Conn) (evicted *bool) {
	evicted = new(bool)
	tab.Begin(c, func(error) { *evicted = true })
	return evicted
}

func TestEviction(t *testing.T) {
	tab := NewTable(4)
	var list []*bool
	for _, p := range []*packet{from(1, 1, ""), from(2, 1, ""), from(2, 2, ""), from(3, 1, "")} {
		list = append(list, begun(tab, take(t, tab, p, true)))
	}
	take(t, tab, from(2, 1, ""), false) // so that its other one is the oldest
	take(t, tab, from(4, 1, ""), true)
	if got := fmt.Sprint(*list[0], *list[1], *list[2], *list[3]); got != "false false true false" {
		t.Fatalf("evicted: %s; want the oldest of the source with two", got)
	}
	take(t, tab, from(1, 1, ""), false)
	take(t, tab, from(5, 1, ""), true) // all have one now
	if got := fmt.Sprint(*list[0], *list[1], *list[3]); got != "false false true" {
		t.Fatalf("evicted: %s; want the one that was silent the longest", got)
	}
}

func TestStrangersGoFirst(t *testing.T) {
	tab := NewTable(8)
	var real []*bool
	for i := range 4 {
		c := take(t, tab, from(1, i, ""), true) // four of one source
		real = append(real, begun(tab, c))
		c.Write(nil)
		take(t, tab, from(1, i, ""), false)
	}
	for i := range 100 {
		c, _ := tab.Take(from(100+i, 1, ""))
		if c == nil {
			t.Fatal("a newcomer got no place")
		}
		tab.Begin(c, func(error) { c.Close(); tab.Leave(c, false) })
	}
	for i, evicted := range real {
		if *evicted {
			t.Errorf("the real client's session %d had to make room for strangers", i)
		}
	}
}

// A flood whose sessions do not end is bounded all the same.
func TestSpare(t *testing.T) {
	const most = 100
	tab := NewTable(most)
	n, evicted := 0, 0
	for i := range 1000 {
		p := from(i, 1, "")
		c, ok := tab.Take(p)
		if c != nil {
			n++
			tab.Begin(c, func(error) { evicted++ })
		}
		if !ok && p.closed != 1 {
			t.Fatal("a datagram that was dropped is kept")
		}
	}
	if n != most+Spare(most) || tab.Len() != n || evicted != Spare(most) {
		t.Errorf("%d sessions, %d of them evicted; want %d and %d", n, evicted, most+Spare(most), Spare(most))
	}
}

// Whatever happens, the table and its pools agree.
func TestTableModel(t *testing.T) {
	tab := NewTable(20)
	var all []*Conn
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		switch c, _ := tab.Take(from(rnd.IntN(12), rnd.IntN(5), "x")); {
		case c != nil:
			all = append(all, c)
			tab.Begin(c, func(error) { c.Close() })
		case len(all) == 0:
		default:
			i := rnd.IntN(len(all))
			switch c := all[i]; rnd.IntN(4) {
			case 0:
				c.Write(nil)
			case 1:
				if d, err := c.nextNow(); err == nil {
					c.Done(d)
				}
			case 2:
				c.Close()
				all[i] = all[len(all)-1]
				all = all[:len(all)-1]
				if next := tab.Leave(c, rnd.IntN(2) == 0); next != nil {
					all = append(all, next)
					tab.Begin(next, func(error) { next.Close() })
				}
			}
		}
		tab.check(t)
		if tab.live != len(all) {
			t.Fatalf("%d sessions, and the table has %d", len(all), tab.live)
		}
	}
	for _, c := range all {
		c.Close()
		tab.Leave(c, false)
	}
	if tab.check(t); tab.live != 0 || len(tab.conns) != 0 || len(tab.pools[0].sources)+len(tab.pools[1].sources) != 0 {
		t.Errorf("left: %d sessions, %d in the table", tab.live, len(tab.conns))
	}
}

// nextNow is Next that does not wait.
func (c *Conn) nextNow() (Datagram, error) {
	c.SetReadDeadline(time.Time{})
	c.mu.Lock()
	empty := len(c.queue) == 0
	c.mu.Unlock()
	if empty {
		return nil, io.EOF
	}
	return c.Next()
}

func (t *Table) check(tt *testing.T) {
	n := 0
	for i := range t.pools {
		p := &t.pools[i]
		sum := 0
		for _, s := range p.sources {
			sum += s.sessions.Len()
			if p.by[s.sessions.Len()-1].Len() == 0 {
				tt.Fatal("a source with sessions is not listed")
			}
		}
		if sum != p.n || p.top > 0 && p.by[p.top-1].Len() == 0 || p.top == 0 && p.n > 0 {
			tt.Fatalf("pool %d: %d sessions, counted %d", i, sum, p.n)
		}
		n += sum
	}
	if n != len(t.conns) || len(t.conns) > t.max || t.live > t.max+Spare(t.max)+len(t.conns) {
		tt.Fatalf("%d sessions in pools, %d in the table, %d alive", n, len(t.conns), t.live)
	}
}

func BenchmarkTake(b *testing.B) {
	tab := NewTable(1024)
	var cs [1000]*Conn
	for i := range cs {
		cs[i], _ = tab.Take(from(i, 1, "x"))
		cs[i].rest()
	}
	p := from(500, 1, "x")
	b.ReportAllocs()
	for b.Loop() {
		tab.Take(p)
		d, _ := cs[500].Next()
		cs[500].Done(d)
	}
}
