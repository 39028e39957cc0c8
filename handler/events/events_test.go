package events_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/handler/events"
	"netserver/netservertest"
	"netserver/outcome"
)

var all = []string{"tcp", "ssl", "unix", "udp"}

var streams = all[:3]

// lines answers each line, says bye to "quit" and leaves parts of lines.
func lines(c *events.Client, in []byte) (used int, err error) {
	for {
		line, _, ok := bytes.Cut(in[used:], []byte("\n"))
		if !ok {
			return used, nil
		}
		used += len(line) + 1
		if string(line) == "quit" {
			io.WriteString(c, "bye\n")
			c.Close()
			return used, nil
		}
		fmt.Fprintf(c, "said %s\n", line)
	}
}

// expect reads what must come, in as many parts as it does.
func expect(t testing.TB, c net.Conn, want string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(20 * time.Second)) // of the next question too
	var got []byte
	for b := make([]byte, 64<<10); len(got) < len(want); {
		n, err := c.Read(b)
		got = append(got, b[:n]...)
		if err != nil {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
	if string(got) != want {
		t.Fatalf("%q, want %q", got, want)
	}
}

// A log is what was called, in order.
type log struct {
	mu    sync.Mutex
	calls []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, fmt.Sprintf(format, args...))
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.calls, ", ")
}

// logged has all functions noted.
func logged(h *events.Handler) (*events.Handler, *log) {
	l, input, eof := new(log), h.Input, h.EOF
	h.Open = func(*events.Client) error { l.add("open"); return nil }
	h.Input = func(c *events.Client, in []byte) (int, error) {
		l.add("input %q", in)
		return input(c, in)
	}
	h.EOF = func(c *events.Client, rest []byte) error {
		l.add("eof %q", rest)
		if eof != nil {
			return eof(c, rest)
		}
		return nil
	}
	h.Close = func(_ *events.Client, err error) { l.add("close %v", err) }
	return h, l
}

// both runs f for Handlers of both kinds and each of the protocols.
func both(t *testing.T, protos []string, f func(t *testing.T, kind string, parallel bool)) {
	for _, kind := range protos {
		t.Run(kind, func(t *testing.T) { f(t, kind, false) })
		t.Run(kind+"/parallel", func(t *testing.T) { f(t, kind, true) })
	}
}

// Lines come in parts, several at once, and what is not used is offered again.
func TestPartialLines(t *testing.T) {
	both(t, all, func(t *testing.T, kind string, parallel bool) {
		h, calls := logged(&events.Handler{Input: lines, Parallel: parallel})
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		c := r.Dial(t, kind)
		io.WriteString(c, "one\ntwo\nthr")
		expect(t, c, "said one\nsaid two\n")
		io.WriteString(c, "ee")
		netservertest.Eventually(t, "the part", func() bool { return strings.Contains(calls.String(), `input "three"`) })
		io.WriteString(c, "\nquit\nnot read\n")
		expect(t, c, "said three\nbye\n")
		r.Records(t, 1)
		want := `open, input "one\ntwo\nthr", input "three", input "three\nquit\nnot read\n", close <nil>`
		if got := calls.String(); got != want {
			t.Errorf("called\n%s, want\n%s", got, want)
		}
	})
}

// A client that ends in the middle gets its answer, and Close comes last.
func TestEOF(t *testing.T) {
	both(t, streams, func(t *testing.T, kind string, parallel bool) {
		h, calls := logged(&events.Handler{Input: lines, Parallel: parallel, EOF: func(c *events.Client, rest []byte) error {
			fmt.Fprintf(c, "rest %s", rest)
			return nil
		}})
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		c := r.Dial(t, kind)
		io.WriteString(c, "line\npart")
		expect(t, c, "said line\n")
		c.(interface{ CloseWrite() error }).CloseWrite()
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if b, err := io.ReadAll(c); string(b) != "rest part" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		rec := r.Records(t, 1)[0]
		want := `open, input "line\npart", eof "part", close <nil>`
		if got := calls.String(); got != want || rec.Outcome != outcome.Served {
			t.Errorf("%v, called\n%s, want\n%s", rec.Outcome, got, want)
		}
	})
}

// The time of SetTimeout, set again by each call.
func TestTimeout(t *testing.T) {
	both(t, all, func(t *testing.T, kind string, parallel bool) {
		n := 0
		h := &events.Handler{Parallel: parallel}
		h.Input = func(c *events.Client, in []byte) (int, error) {
			c.SetTimeout(time.Hour)
			c.SetTimeout(20 * time.Millisecond)
			return lines(c, in)
		}
		h.Timeout = func(c *events.Client) error {
			if n++; n == 3 {
				io.WriteString(c, "goodbye\n")
				return io.EOF
			}
			fmt.Fprintf(c, "late %d\n", n)
			c.SetTimeout(20 * time.Millisecond)
			return nil
		}
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		c := r.Dial(t, kind)
		io.WriteString(c, "x\n")
		expect(t, c, "said x\nlate 1\nlate 2\ngoodbye\n")
		if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served {
			t.Error(rec.Outcome, rec.Err)
		}
	})
}

// Many clients tell each other, one function at a time.
func TestBroadcast(t *testing.T) {
	both(t, all, func(t *testing.T, kind string, parallel bool) {
		const n = 60
		var busy atomic.Int32
		h := &events.Handler{Parallel: parallel}
		h.Input = func(c *events.Client, in []byte) (int, error) {
			if busy.Add(1) > 1 && !parallel {
				t.Error("two at a time")
			}
			defer busy.Add(-1)
			if string(in) == "all" {
				h.Broadcast([]byte("to all"), func(o *events.Client) bool { return o != c })
			}
			io.WriteString(c, "done")
			return len(in), nil
		}
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		var list []net.Conn
		for range n {
			c := r.Dial(t, kind)
			io.WriteString(c, "one")
			expect(t, c, "done")
			list = append(list, c)
		}
		io.WriteString(list[7], "all")
		for i, c := range list {
			if i != 7 {
				expect(t, c, "to all")
			}
		}
		expect(t, list[7], "done")
		if got := len(h.Clients()); got != n {
			t.Errorf("%d clients", got)
		}
	})
}

// One that takes nothing is ended when too much waits for it, and says so; the
// others go on.
func TestSlowReceiver(t *testing.T) {
	both(t, streams, func(t *testing.T, kind string, parallel bool) {
		h := &events.Handler{Parallel: parallel, MaxOutput: 64 << 10}
		h.Input = func(c *events.Client, in []byte) (int, error) {
			c.Value = string(in)
			return c.Write(in)
		}
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		slow, fast := r.Dial(t, kind), r.Dial(t, kind)
		io.WriteString(slow, "slow")
		expect(t, slow, "slow")
		io.WriteString(fast, "fast")
		expect(t, fast, "fast")
		id := uint64(0)
		for _, c := range h.Clients() {
			if c.Value == "slow" {
				id = c.ID()
			}
		}
		block := bytes.Repeat([]byte("x"), 16<<10)
		got := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, fast)
			got <- err
		}()
		netservertest.Eventually(t, "the end of the slow one", func() bool {
			for range 100 {
				h.Do(func() { h.Broadcast(block, func(c *events.Client) bool { return c.ID() == id || c.Waiting() == 0 }) })
			}
			return len(h.Clients()) == 1
		})
		rec := r.Records(t, 1)[0]
		if rec.ID != id || rec.Outcome != outcome.SlowReceiver || !errors.Is(rec.Err, events.ErrSlowReceiver) {
			t.Errorf("client %d, slow is %d: %v, %v", rec.ID, id, rec.Outcome, rec.Err)
		}
		fast.Close()
		<-got
	})
}

// A large answer goes out whole though the client takes it late.
func TestLargeOutput(t *testing.T) {
	both(t, streams, func(t *testing.T, kind string, parallel bool) {
		const size = 8 << 20
		h := &events.Handler{Parallel: parallel, MaxOutput: 2 * size}
		h.Input = func(c *events.Client, in []byte) (int, error) {
			c.Write(bytes.Repeat(in[:1], size))
			c.Close()
			return len(in), nil
		}
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		c := r.Dial(t, kind)
		io.WriteString(c, "x")
		other := r.Dial(t, kind) // is served meanwhile
		io.WriteString(other, "y")
		other.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := io.Copy(io.Discard, other); n != size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := io.Copy(io.Discard, c); n != size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// A function that panics or fails ends its client alone, and Close is called.
func TestPanic(t *testing.T) {
	both(t, all, func(t *testing.T, kind string, parallel bool) {
		h, calls := logged(&events.Handler{Parallel: parallel, Input: func(c *events.Client, in []byte) (int, error) {
			switch string(in) {
			case "panic":
				panic("by request")
			case "fail":
				return 0, errors.New("failed by request")
			}
			return c.Write(in)
		}})
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		good := r.Dial(t, kind)
		io.WriteString(good, "hello")
		expect(t, good, "hello")
		io.WriteString(r.Dial(t, kind), "panic")
		if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Panic {
			t.Error(rec.Outcome, rec.Err)
		}
		io.WriteString(r.Dial(t, kind), "fail")
		if rec := r.Records(t, 2)[1]; rec.Outcome != outcome.HandlerError {
			t.Error(rec.Outcome, rec.Err)
		}
		io.WriteString(good, "hello")
		expect(t, good, "hello")
		if got := calls.String(); strings.Count(got, "close") != 2 || !strings.Contains(got, "close failed by request") {
			t.Error(got)
		}
	})
}

// A function that blocks is named in the log, with its stack.
func TestBlocks(t *testing.T) {
	for _, parallel := range []bool{false, true} {
		free := make(chan struct{})
		h := &events.Handler{Parallel: parallel, Input: func(c *events.Client, in []byte) (int, error) {
			blockHere(free)
			return c.Write(in)
		}}
		r := netservertest.Start(t, &netserver.Server{Handler: h}, "tcp")
		c := r.Dial(t, "tcp")
		io.WriteString(c, "hello")
		netservertest.Eventually(t, "a line in the log", func() bool {
			log := r.Log()
			return strings.Contains(log, "blocks") && strings.Contains(log, "Input") && strings.Contains(log, "blockHere")
		})
		close(free)
		expect(t, c, "hello")
	}
}

//go:noinline
func blockHere(free chan struct{}) { <-free }

// More input than is kept ends the client.
func TestInputTooLong(t *testing.T) {
	both(t, all, func(t *testing.T, kind string, parallel bool) {
		h := &events.Handler{Parallel: parallel, MaxInput: 1000, Input: lines}
		r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
		io.WriteString(r.Dial(t, kind), strings.Repeat("x", 1001))
		if rec := r.Records(t, 1)[0]; !errors.Is(rec.Err, events.ErrInputTooLong) {
			t.Error(rec.Outcome, rec.Err)
		}
	})
}

// A drain closes clients, or calls Drain.
func TestDrain(t *testing.T) {
	both(t, streams, func(t *testing.T, kind string, parallel bool) {
		for _, says := range []string{"", "we close\n"} {
			h := &events.Handler{Parallel: parallel, Input: lines}
			if says != "" {
				h.Drain = func(c *events.Client) error {
					io.WriteString(c, says)
					return io.EOF
				}
			}
			r := netservertest.Start(t, &netserver.Server{Handler: h}, kind)
			c := r.Dial(t, kind)
			io.WriteString(c, "x\n")
			expect(t, c, "said x\n")
			r.Stop(t)
			if b, err := io.ReadAll(c); string(b) != says || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		}
	})
}

// The cases that all handlers pass.
func TestHandler(t *testing.T) {
	h := func(*testing.T) netserver.Handler {
		return &events.Handler{MaxSessions: -1, Input: func(c *events.Client, in []byte) (int, error) { return c.Write(in) }}
	}
	netservertest.TestHandler(t, netservertest.HandlerTest{New: h, Talk: func(_ string, c net.Conn) error {
		io.WriteString(c, "hello")
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			return fmt.Errorf("%q, %w", b, err)
		}
		return nil
	}})
}
