//go:build unix

package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A fakeSyslog is a daemon that notes what it gets.
type fakeSyslog struct {
	t       *testing.T
	network string
	addr    string
	close   func()

	mu    sync.Mutex
	got   []string
	conns map[net.Conn]bool
}

// startSyslog listens on addr; "" is a fresh one.
func startSyslog(t *testing.T, network, addr string) *fakeSyslog {
	t.Helper()
	d := &fakeSyslog{t: t, network: network, addr: addr, conns: make(map[net.Conn]bool)}
	if addr == "" {
		d.addr = "127.0.0.1:0"
		if strings.HasPrefix(network, "unix") {
			d.addr = filepath.Join(t.TempDir(), "log")
		}
	}
	if network == "unix" || network == "tcp" {
		l, err := net.Listen(network, d.addr)
		if err != nil {
			t.Fatal(err)
		}
		d.addr = l.Addr().String()
		var wg sync.WaitGroup
		wg.Go(func() { d.accept(l, &wg) })
		d.close = sync.OnceFunc(func() { l.Close(); d.cut(); wg.Wait() })
	} else {
		c, err := net.ListenPacket(network, d.addr)
		if err != nil {
			t.Fatal(err)
		}
		d.addr = c.LocalAddr().String()
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.receive(c)
		}()
		d.close = sync.OnceFunc(func() { c.Close(); os.Remove(d.addr); <-done })
	}
	t.Cleanup(d.close)
	return d
}

func (d *fakeSyslog) accept(l net.Listener, wg *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		d.conns[c] = true
		d.mu.Unlock()
		wg.Go(func() { d.read(c) })
	}
}

func (d *fakeSyslog) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.Close()
	}
}

func (d *fakeSyslog) read(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		var rec string
		var err error
		if d.network == "tcp" {
			rec, err = readCounted(r)
		} else if rec, err = r.ReadString('\n'); err == nil {
			rec = rec[:len(rec)-1]
		}
		if err != nil {
			return
		}
		d.note(rec)
	}
}

// readCounted reads one record of RFC 6587's octet counting.
func readCounted(r *bufio.Reader) (string, error) {
	head, err := r.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(head[:len(head)-1])
	if err != nil || n <= 0 || head[0] == '0' {
		return "", fmt.Errorf("frame %q", head)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}

func (d *fakeSyslog) receive(c net.PacketConn) {
	b := make([]byte, 1<<16)
	for {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		d.note(string(b[:n]))
	}
}

func (d *fakeSyslog) note(rec string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, rec)
}

func (d *fakeSyslog) records() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.got...)
}

// eventually polls with a deadline: packages above have a helper for that.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (d *fakeSyslog) wait(what string, n int) []string {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("%d records: %s", n, what), func() bool { return len(d.records()) >= n })
	return d.records()
}

// has waits for a record that ends in text.
func (d *fakeSyslog) has(text string) {
	d.t.Helper()
	eventually(d.t, text, func() bool {
		for _, rec := range d.records() {
			if strings.HasSuffix(rec, text) {
				return true
			}
		}
		return false
	})
}

func targetOf(t *testing.T, network, addr string) SyslogTarget {
	t.Helper()
	target, err := ParseSyslogTarget(strings.TrimSuffix(network, "gram") + ":" + addr)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// writerTo returns a queue before a writer to target.
func writerTo(t *testing.T, target SyslogTarget, size int, down func(error)) (*Async, *SyslogWriter) {
	t.Helper()
	w := NewSyslogWriter(target.Dial, down)
	a := NewAsync(w, size, Syslog{Network: target.Network(), Max: target.MaxRecord()}.New)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		a.Close(ctx)
		w.Close()
		<-a.done
	})
	return a, w
}

var syslogNetworks = []string{"unixgram", "unix", "udp", "tcp"}

func TestSyslogWriterKeepsRecords(t *testing.T) {
	for _, network := range syslogNetworks {
		t.Run(network, func(t *testing.T) {
			d := startSyslog(t, network, "")
			a, _ := writerTo(t, targetOf(t, network, d.addr), 0, nil)
			n := 500
			if network == "udp" {
				n = 50 // its buffer holds these
			}
			for i := range n {
				fmt.Fprintf(a, "record %d %s\n", i, strings.Repeat("x", i%300))
			}
			flush(t, a)
			for i, rec := range d.wait("all", n) {
				if want := fmt.Sprintf("record %d %s", i, strings.Repeat("x", i%300)); rec != want {
					t.Fatalf("got %q, want %q", rec, want)
				}
			}
		})
	}
}

// A daemon that is not there at first, or goes away for a while, costs
// nothing: what is logged meanwhile waits.
func TestSyslogWriterOutlivesTheDaemon(t *testing.T) {
	for _, network := range []string{"unixgram", "unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			d := startSyslog(t, network, "")
			addr := d.addr
			d.close()
			var downs atomic.Int32
			a, _ := writerTo(t, targetOf(t, network, addr), 0, func(error) { downs.Add(1) })
			fmt.Fprint(a, "before\n")
			eventually(t, "down", func() bool { return downs.Load() == 1 })
			fmt.Fprint(a, "second\n")
			d = startSyslog(t, network, addr)
			if got := d.wait("both", 2); got[0] != "before" || got[1] != "second" {
				t.Fatalf("got %q", got)
			}
			flush(t, a)
			for i := range 3 {
				d.close()
				d = startSyslog(t, network, addr)
				// What is written to a stream before the end of the daemon is
				// noticed is lost, so the first may be.
				last := fmt.Sprintf("last %d", i)
				eventually(t, last, func() bool {
					fmt.Fprintln(a, last)
					flush(t, a)
					return len(d.records()) > 0
				})
				d.has(last)
			}
			if a.Lost() != 0 {
				t.Errorf("%d lost", a.Lost())
			}
		})
	}
}

// While the daemon is away, more than the queue holds is lost and counted, and
// nobody waits; when it is back it is told.
func TestSyslogWriterCountsWhatIsTooMuch(t *testing.T) {
	for _, network := range []string{"unixgram", "unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			d := startSyslog(t, network, "")
			addr := d.addr
			d.close()
			down := make(chan error, 1)
			a, _ := writerTo(t, targetOf(t, network, addr), 100, func(err error) { down <- err })
			fmt.Fprint(a, "first\n")
			if err := <-down; !strings.Contains(err.Error(), addr) {
				t.Error(err)
			}
			line := strings.Repeat("x", 24) + "\n"
			for range 10 { // four fit
				fmt.Fprint(a, line)
			}
			if a.Lost() != 6 {
				t.Errorf("%d lost, want 6", a.Lost())
			}
			d = startSyslog(t, network, addr)
			got := d.wait("with the report", 6)
			if got[0] != "first" || got[4] != line[:24] {
				t.Errorf("got %q", got)
			}
			reason := "refused"
			if network != "tcp" {
				reason = "no such file"
			}
			if !strings.HasPrefix(got[5], "<28>") || !strings.Contains(got[5], " log records were lost lost=6 err=") || !strings.Contains(got[5], reason) {
				t.Errorf("report %q", got[5])
			}
		})
	}
}

// A datagram to a port that nobody listens on comes back with the next one:
// that many are known to be lost, at least, and told when there is somebody.
func TestSyslogWriterUDPWithoutDaemon(t *testing.T) {
	d := startSyslog(t, "udp", "")
	addr := d.addr
	d.close()
	a, _ := writerTo(t, targetOf(t, "udp", addr), 0, nil)
	for range 5 {
		fmt.Fprint(a, "into the void\n")
		flush(t, a)
	}
	d = startSyslog(t, "udp", addr)
	eventually(t, "the report", func() bool {
		fmt.Fprint(a, "hello\n")
		flush(t, a)
		for _, rec := range d.records() {
			if strings.Contains(rec, "log records were lost lost=") && strings.Contains(rec, "refused") {
				return true
			}
		}
		return false
	})
	d.has("hello")
	if a.Lost() == 0 {
		t.Error("nothing was counted")
	}
}

// A daemon that takes nothing any more holds up the queue alone, and the end
// is bounded.
func TestSyslogWriterSlowDaemon(t *testing.T) {
	for _, network := range []string{"unixgram", "unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			addr := stuckSyslog(t, network)
			target := targetOf(t, network, addr)
			w := NewSyslogWriter(target.Dial, nil)
			a := NewAsync(w, 1<<16, Syslog{}.New)
			line := strings.Repeat("x", 4000) + "\n"
			eventually(t, "the queue is full", func() bool {
				fmt.Fprint(a, line)
				return a.Lost() > 0
			})
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			if err := a.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			w.Close()
			<-a.done
		})
	}
}

// stuckSyslog listens and reads nothing.
func stuckSyslog(t *testing.T, network string) string {
	t.Helper()
	addr := "127.0.0.1:0"
	if network != "tcp" {
		addr = filepath.Join(t.TempDir(), "log")
	}
	if network == "unixgram" {
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return addr
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, c := range conns {
			c.Close()
		}
	})
	return l.Addr().String()
}

// A daemon that hangs up on everybody is not asked all the time.
func TestSyslogWriterBacksOff(t *testing.T) {
	var dials atomic.Int32
	w := NewSyslogWriter(func(context.Context) (net.Conn, error) {
		dials.Add(1)
		return nil, errors.New("no")
	}, nil)
	done := make(chan error)
	go func() {
		_, err := w.Write([]byte("x\n"))
		done <- err
	}()
	eventually(t, "some attempts", func() bool { return dials.Load() >= 3 })
	if w.Close(); !errors.Is(<-done, os.ErrClosed) {
		t.Error("Write did not end")
	}
	if w.delay < 4*firstReconnect {
		t.Errorf("after three attempts it waits %v", w.delay)
	}
}

// A record that is too long for a datagram goes out shortened.
func TestSyslogWriterTooLong(t *testing.T) {
	d := startSyslog(t, "udp", "")
	a, _ := writerTo(t, targetOf(t, "udp", d.addr), 0, nil)
	fmt.Fprint(a, strings.Repeat("x", 70000)+"\n")
	fmt.Fprint(a, "next\n")
	flush(t, a)
	got := d.wait("both", 2)
	if len(got[0]) != minSyslogMax || !strings.HasSuffix(got[0], cutMark) || got[1] != "next" {
		t.Errorf("got %d bytes, %q", len(got[0]), got[1])
	}
}

func TestJournalStream(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	st := info.Sys().(*syscall.Stat_t)
	id := fmt.Sprintf("%d:%d", st.Dev, st.Ino)
	for stream, want := range map[string]bool{id: true, "": false, "x": false, id + "1": false, fmt.Sprintf("%d:%d", st.Dev, st.Ino+1): false} {
		if got := IsJournal(stream, f); got != want {
			t.Errorf("%q: %v", stream, got)
		}
	}
	if IsJournal(id, nil) {
		t.Error("no file")
	}
}
