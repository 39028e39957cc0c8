package relay_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netserver/internal/deadline"
	"netserver/internal/relay"
	"netserver/netservertest"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }

var errRead, errWrite = errors.New("the client's read"), errors.New("the client's write")

// A fakeClient is a client as the engine's Conn is one.
type fakeClient struct {
	net.Conn
	limits   deadline.Limits
	buffered []byte
	in, out  int
}

func (c *fakeClient) Buffered() []byte { return c.buffered }
func (c *fakeClient) Discard(n int)    { c.buffered = c.buffered[n:] }
func (c *fakeClient) Received(n int)   { c.in += n; c.limits.Got() }
func (c *fakeClient) Sent(n int)       { c.out += n; c.limits.Active() }

func (c *fakeClient) Write(b []byte) (int, error) {
	c.limits.ArmWrite(c.Conn)
	n, err := c.Conn.Write(b)
	c.Sent(n)
	return n, c.WriteError(err)
}

func (c *fakeClient) ReadError(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case deadline.IsTimeout(err) && c.limits.Expired() != nil:
		return c.limits.Expired()
	}
	return errors.Join(errRead, err)
}

func (c *fakeClient) WriteError(err error) error {
	if err == nil {
		return nil
	}
	return errors.Join(errWrite, err)
}

func (c *fakeClient) end(stall time.Duration) relay.Client {
	return relay.Client{Conn: c.Conn, Raw: relay.RawOf(c.Conn), Limits: &c.limits, Stall: stall, Account: c}
}

// pairs makes the two ends of a connection: the server's and its peer's.
var pairs = map[string]func(t testing.TB) (srv, peer net.Conn){
	"pipe": func(t testing.TB) (srv, peer net.Conn) { return net.Pipe() },
	"tcp":  func(t testing.TB) (srv, peer net.Conn) { return pairOf(t, "tcp", "127.0.0.1:0") },
	"unix": func(t testing.TB) (srv, peer net.Conn) {
		return pairOf(t, "unix", filepath.Join(t.TempDir(), "s"))
	},
}

func pairOf(t testing.TB, network, address string) (srv, peer net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if peer, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if srv, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return srv, peer
}

// pair returns a connection of a kind, which is closed at the test's end.
func pair(t testing.TB, kind string) (srv, peer net.Conn) {
	t.Helper()
	srv, peer = pairs[kind](t)
	for _, c := range []net.Conn{srv, peer} {
		t.Cleanup(func() { c.Close() })
		if kind != "pipe" {
			c.SetDeadline(time.Now().Add(60 * time.Second))
		}
	}
	srv.SetDeadline(time.Time{})
	return srv, peer
}

// eachPair runs f for each kind of client and of other end.
func eachPair(t *testing.T, f func(t *testing.T, client, other string)) {
	for client := range pairs {
		for other := range pairs {
			t.Run(client+" and "+other, func(t *testing.T) { f(t, client, other) })
		}
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(1)).Read(b)
	return b
}

type result struct {
	n   int64
	err error
}

func start(src *relay.Source, dst *relay.Sink) chan result {
	done := make(chan result, 1)
	go func() {
		n, err := relay.Copy(src, dst)
		done <- result{n, err}
	}()
	return done
}

// TestCopyFromClient and back: every byte arrives, what was read before goes
// first, and the client's account knows of all.
func TestCopyFromClient(t *testing.T) {
	sent, before := randomBytes(3<<20+7), []byte("what was read before")
	eachPair(t, func(t *testing.T, client, other string) {
		nc, peer := pair(t, client)
		to, there := pair(t, other)
		c := &fakeClient{Conn: nc, buffered: before}
		done := start(relay.FromClient(c.end(0)), relay.To(to, c.end(0)))
		go func() {
			peer.Write(sent)
			peer.Close()
		}()
		want := append(bytes.Clone(before), sent...)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(there, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v, the same: %v", err, bytes.Equal(got, want))
		}
		if r := <-done; r.err != nil || r.n != int64(len(want)) || c.in != len(sent) || len(c.buffered) > 0 {
			t.Errorf("%d bytes, %v; %d came, %d are left", r.n, r.err, c.in, len(c.buffered))
		}
	})
}

func TestCopyToClient(t *testing.T) {
	sent := randomBytes(3<<20 + 7)
	eachPair(t, func(t *testing.T, client, other string) {
		nc, peer := pair(t, client)
		from, there := pair(t, other)
		c := &fakeClient{Conn: nc}
		done := start(relay.From(from, c.end(0)), relay.ToClient(c.end(0)))
		go func() {
			there.Write(sent)
			there.Close()
		}()
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%v, the same: %v", err, bytes.Equal(got, sent))
		}
		if r := <-done; r.err != nil || r.n != int64(len(sent)) || c.out != len(sent) {
			t.Errorf("%d bytes, %v; %d went", r.n, r.err, c.out)
		}
	})
}

// TestHalfClose: the end of one direction ends its copy alone; the other goes on.
func TestHalfClose(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			nc, peer := pair(t, kind)
			other, there := pair(t, kind)
			c := &fakeClient{Conn: nc}
			out := start(relay.FromClient(c.end(0)), relay.To(other, c.end(0)))
			back := start(relay.From(other, c.end(0)), relay.ToClient(c.end(0)))
			io.WriteString(peer, "question")
			peer.(relay.HalfCloser).CloseWrite()
			if r := <-out; r.err != nil || r.n != 8 {
				t.Fatalf("%d bytes, %v", r.n, r.err)
			}
			other.(relay.HalfCloser).CloseWrite()
			if got, err := io.ReadAll(there); string(got) != "question" || err != nil {
				t.Fatalf("%q, %v", got, err)
			}
			io.WriteString(there, "answer")
			there.Close()
			if r := <-back; r.err != nil || r.n != 6 {
				t.Fatalf("%d bytes, %v", r.n, r.err)
			}
			nc.Close()
			if got, err := io.ReadAll(peer); string(got) != "answer" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func reset(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestResetOfTheSource is an error, and not its end.
func TestResetOfTheSource(t *testing.T) {
	for _, to := range []string{"tcp", "pipe"} {
		t.Run("client to "+to, func(t *testing.T) {
			nc, peer := pair(t, "tcp")
			other, _ := pair(t, to)
			c := &fakeClient{Conn: nc}
			done := start(relay.FromClient(c.end(0)), relay.To(other, c.end(0)))
			reset(t, peer)
			if r := <-done; !errors.Is(r.err, errRead) || !isReset(r.err) {
				t.Errorf("%d bytes, %v", r.n, r.err)
			}
		})
		t.Run(to+" client", func(t *testing.T) {
			nc, _ := pair(t, to)
			other, there := pair(t, "tcp")
			c := &fakeClient{Conn: nc}
			done := start(relay.From(other, c.end(0)), relay.ToClient(c.end(0)))
			reset(t, there)
			if r := <-done; errors.Is(r.err, errRead) || !isReset(r.err) {
				t.Errorf("%d bytes, %v", r.n, r.err)
			}
		})
	}
}

// TestResetOfTheSink ends a copy that has something to write.
func TestResetOfTheSink(t *testing.T) {
	for _, from := range []string{"tcp", "pipe"} {
		t.Run(from, func(t *testing.T) {
			nc, peer := pair(t, from)
			other, there := pair(t, "tcp")
			c := &fakeClient{Conn: nc}
			done := start(relay.FromClient(c.end(0)), relay.To(other, c.end(0)))
			reset(t, there)
			go func() {
				for {
					if _, err := peer.Write(make([]byte, 1000)); err != nil {
						return
					}
				}
			}()
			r := <-done
			if errors.Is(r.err, errRead) || !isReset(r.err) {
				t.Errorf("%d bytes, %v", r.n, r.err)
			}
			nc.Close()
		})
	}
}

func isReset(err error) bool {
	const wsaReset, wsaAborted = syscall.Errno(10054), syscall.Errno(10053)
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, wsaReset) || errors.Is(err, wsaAborted)
}

// TestLimitsEndCopies in both directions while nothing passes, and bytes in one
// keep the other.
func TestLimitsEndCopies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits deadline.Values
		lines  int // sent by the client, one every three seconds
		after  time.Duration
		want   error
	}{
		{"idle", deadline.Values{Idle: 5 * time.Second}, 0, 5 * time.Second, deadline.ErrIdle},
		{"bytes in one direction", deadline.Values{Idle: 5 * time.Second}, 10, 35 * time.Second, deadline.ErrIdle},
		{"life", deadline.Values{Life: 20 * time.Second}, 10, 20 * time.Second, deadline.ErrMaxLife},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := pair(t, "pipe")
				other, there := pair(t, "pipe")
				begin := time.Now()
				c := &fakeClient{Conn: nc}
				c.limits.Init(&tt.limits, begin)
				out := start(relay.FromClient(c.end(0)), relay.To(other, c.end(0)))
				back := start(relay.From(other, c.end(0)), relay.ToClient(c.end(0)))
				go io.Copy(io.Discard, there)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for range tt.lines {
						time.Sleep(3 * time.Second) // of the bubble's clock
						if _, err := io.WriteString(peer, "line\n"); err != nil {
							return
						}
					}
				}()
				for _, done := range []chan result{out, back} {
					if r := <-done; !errors.Is(r.err, tt.want) {
						t.Errorf("%v, want %v", r.err, tt.want)
					}
					if d := time.Since(begin).Round(10 * time.Millisecond); d != tt.after {
						t.Errorf("after %v, want %v", d, tt.after)
					}
				}
				there.Close()
				peer.Close()
				<-sent
			})
		})
	}
}

// TestStall: another end that takes nothing is given up after the time that a
// client has for it, if it has one.
func TestStall(t *testing.T) {
	for _, stall := range []time.Duration{0, 7 * time.Second} {
		t.Run(stall.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc, peer := pair(t, "pipe")
				other, there := pair(t, "pipe")
				c := &fakeClient{Conn: nc}
				begin := time.Now()
				done := start(relay.FromClient(c.end(stall)), relay.To(other, c.end(stall)))
				io.WriteString(peer, "line\n")
				if stall > 0 {
					if r := <-done; !errors.Is(r.err, os.ErrDeadlineExceeded) || time.Since(begin) != stall {
						t.Errorf("%v after %v", r.err, time.Since(begin))
					}
					return
				}
				time.Sleep(1000 * time.Hour) // of the bubble's clock
				io.ReadFull(there, make([]byte, 5))
				peer.Close()
				if r := <-done; r.err != nil || r.n != 5 {
					t.Errorf("%d bytes, %v", r.n, r.err)
				}
			})
		})
	}
}

// TestStallOfASocket: the same where the kernel moves the bytes. What the other
// end has taken is counted.
func TestStallOfASocket(t *testing.T) {
	const stall = 50 * time.Millisecond
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(t *testing.T) {
			nc, peer := pair(t, "tcp")
			other, _ := pair(t, kind)
			c := &fakeClient{Conn: nc}
			go func() {
				for {
					if _, err := peer.Write(make([]byte, 64<<10)); err != nil {
						return
					}
				}
			}()
			n, err := relay.Copy(relay.FromClient(c.end(stall)), relay.To(other, c.end(stall)))
			if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || int64(c.in) < n {
				t.Errorf("%d bytes of %d, %v", n, c.in, err)
			}
			nc.Close()
		})
	}
}

// An odd is a reader and writer that does less than it should.
type odd struct{}

func (odd) Read([]byte) (int, error)    { return 0, nil }
func (odd) Write(b []byte) (int, error) { return len(b) / 2, nil }

func TestOddReadersAndWriters(t *testing.T) {
	nc, _ := pair(t, "pipe")
	c := &fakeClient{Conn: nc, buffered: []byte("some")}
	if n, err := relay.Copy(relay.From(odd{}, c.end(0)), relay.To(io.Discard, c.end(0))); err != io.ErrNoProgress || n > 0 {
		t.Errorf("a reader without progress: %d, %v", n, err)
	}
	if n, err := relay.Copy(relay.FromClient(c.end(0)), relay.To(odd{}, c.end(0))); err != io.ErrShortWrite || n != 2 || string(c.buffered) != "me" {
		t.Errorf("a writer that takes half: %d, %v, left %q", n, err, c.buffered)
	}
	both := io.MultiReader(bytes.NewReader([]byte("one ")), bytes.NewReader([]byte("two")))
	var got bytes.Buffer
	if n, err := relay.Copy(relay.From(both, c.end(0)), relay.To(&got, c.end(0))); err != nil || n != 7 || got.String() != "one two" {
		t.Errorf("plain readers and writers: %d, %v, %q", n, err, got.String())
	}
}

// A waiting is a connection that can wait without a buffer.
type waiting struct {
	net.Conn
	ready chan error
	waits int
	reads int
}

func (w *waiting) WaitRead() error {
	w.waits++
	return <-w.ready
}

func (w *waiting) Read(b []byte) (int, error) {
	w.reads++
	return w.Conn.Read(b)
}

// TestWaiter: nothing is read, and so no buffer taken, before there is something.
func TestWaiter(t *testing.T) {
	srv, peer := pair(t, "pipe")
	w := &waiting{Conn: srv, ready: make(chan error, 2)}
	c := &fakeClient{Conn: w}
	end := c.end(0)
	end.Wait = w
	var got bytes.Buffer
	go io.WriteString(peer, "hello")
	w.ready <- nil
	w.ready <- io.EOF
	if n, err := relay.Copy(relay.FromClient(end), relay.To(&got, end)); err != nil || n != 5 || w.waits != 2 || w.reads != 1 {
		t.Errorf("%d bytes, %v, %d waits, %d reads", n, err, w.waits, w.reads)
	}
}
