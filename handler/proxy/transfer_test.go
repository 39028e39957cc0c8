package proxy_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

const bulk = 50 << 20

// noise is n bytes that are different each time, and their sum once read.
func noise(n int64) (io.Reader, func() string) {
	h := sha256.New()
	src := rand.NewChaCha8([32]byte{byte(rand.Uint32()), byte(rand.Uint32())})
	return io.TeeReader(io.LimitReader(src, n), h), func() string { return fmt.Sprintf("%x", h.Sum(nil)) }
}

// push sends r to c and ends the direction.
func push(c stream, r io.Reader, done chan<- error) {
	_, err := io.Copy(struct{ io.Writer }{c}, r)
	if err == nil {
		err = c.CloseWrite()
	}
	done <- err
}

// sum reads c to its end.
func sum(c net.Conn, got chan<- string) {
	h := sha256.New()
	n, err := io.Copy(h, struct{ io.Reader }{c})
	if err != nil {
		got <- fmt.Sprintf("%d bytes and then %v", n, err)
		return
	}
	got <- fmt.Sprintf("%x", h.Sum(nil))
}

func TestBulkBothWays(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		f, c, b := pair(t, client, backend, netserver.Config{})
		c.SetDeadline(time.Now().Add(2 * time.Minute))
		b.SetDeadline(time.Now().Add(2 * time.Minute))
		up, upSum := noise(bulk)
		down, downSum := noise(bulk)
		sent := make(chan error, 2)
		atBackend, atClient := make(chan string, 1), make(chan string, 1)
		go push(c, up, sent)
		go push(b, down, sent)
		go sum(b, atBackend)
		go sum(c, atClient)
		must(t, <-sent)
		must(t, <-sent)
		if got := <-atBackend; got != upSum() {
			t.Errorf("backend got %s", got)
		}
		if got := <-atClient; got != downSum() {
			t.Errorf("client got %s", got)
		}
		if r := f.record(t); r.Err != nil || r.In != bulk || r.Out != bulk {
			t.Errorf("record: in %d, out %d, %v", r.In, r.Out, r.Err)
		}
	})
}

// A side that does not read must not make the proxy take in what the other
// side sends.
func TestBackpressure(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		const clients = 10
		l := listen(t, backend)
		f := serve(t, client, handlerTo(t, l), netserver.Config{})
		before := heap()
		var ends []stream
		for range clients {
			c := f.dial(t)
			ends = append(ends, c, accept(t, l))
		}
		took := make([]int64, len(ends))
		var full sync.WaitGroup
		for i, c := range ends {
			full.Go(func() { took[i] = fill(t, c) })
		}
		full.Wait()
		netservertest.Eventually(t, fmt.Sprintf("%d stalled clients cost less than %d KiB", clients, clients*512), func() bool {
			return heap()-before <= clients*512<<10
		})
		for i := range ends { // still whole: what was sent arrives
			c, sent := ends[i], took[i^1]
			c.SetDeadline(time.Now().Add(patience))
			if n, err := io.CopyN(io.Discard, c, min(sent, 64<<10)); err != nil {
				t.Fatalf("after %d of %d bytes: %v", n, sent, err)
			}
		}
	})
}

// fill sends until nothing more is taken, and returns how many bytes were. The
// client's TLS layer is of no use for writing after that.
func fill(t *testing.T, c net.Conn) (total int64) {
	b := make([]byte, 16<<10)
	for {
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := c.Write(b)
		if err != nil {
			return total
		}
		total += int64(n)
		if total > 64<<20 {
			t.Error("64 MiB were taken that nobody read")
			return total
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func TestManyAtOnce(t *testing.T) {
	const clients, rounds = 200, 20
	l := listen(t, "unix")
	f := serve(t, "tls", &proxy.Handler{Target: targetOf(l)}, netserver.Config{})
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				io.Copy(nc, nc)
			}()
		}
	}()
	errs := make(chan error, clients)
	for i := range clients {
		c := f.dial(t)
		go func() {
			r := bufio.NewReader(c)
			for j := range rounds {
				line := fmt.Sprintf("client %d, line %d%s\n", i, j, strings.Repeat(".", j*50))
				if _, err := io.WriteString(c, line); err != nil {
					errs <- err
					return
				}
				if got, err := r.ReadString('\n'); got != line {
					errs <- fmt.Errorf("got %q, %v; want %q", got, err, line)
					return
				}
			}
			errs <- c.Close()
		}()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	for range clients {
		if r := f.record(t); r.Err != nil {
			t.Errorf("record: %v", r.Err)
		}
	}
}
