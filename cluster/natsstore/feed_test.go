//go:build unix

package natsstore

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/cluster"
)

// A flooder is in front of a server, and adds messages to what it says to a
// Watch.
type flooder struct {
	front net.Listener
	wg    sync.WaitGroup

	mu   sync.Mutex
	to   net.Conn // the Watch
	sid  string   // of its subscription
	sent int      // bytes that were added
}

func newFlooder(t *testing.T, server string) *flooder {
	t.Helper()
	f := new(flooder)
	var err error
	if f.front, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	f.wg.Go(func() {
		for {
			c, err := f.front.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				c.Close()
				continue
			}
			f.wg.Go(func() { f.asks(to, c) })
			f.wg.Go(func() { f.answers(c, to) })
		}
	})
	t.Cleanup(f.wg.Wait)
	t.Cleanup(func() { f.front.Close() })
	return f
}

// asks copies what a client says, and finds the subscription after that to
// answers, which is that of a Watch.
func (f *flooder) asks(to, c net.Conn) {
	defer to.Close()
	var said []byte
	for b := make([]byte, 64<<10); ; {
		n, err := c.Read(b)
		if said = append(said, b[:n]...); err != nil {
			return
		}
		for _, line := range strings.Split(string(said), "\r\n") {
			if p := strings.Fields(line); len(p) == 3 && p[0] == "SUB" && p[2] != "1" {
				f.mu.Lock()
				f.to, f.sid = c, p[2]
				f.mu.Unlock()
			}
		}
		said = said[max(bytes.LastIndex(said, []byte("\r\n")), 0):]
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// answers copies what the server says, which ends whole messages at each pause.
func (f *flooder) answers(c, server net.Conn) {
	defer c.Close()
	for b := make([]byte, 1<<20); ; {
		n, err := server.Read(b)
		if err != nil {
			return
		}
		f.mu.Lock()
		_, err = c.Write(b[:n])
		f.mu.Unlock()
		if err != nil {
			return
		}
	}
}

const floodBytes = 5 * feedBytes

// flood sends messages of so many bytes to the Watch, floodBytes or until it ends.
func (f *flooder) flood(prefix string, size int) {
	value := strings.Repeat("x", size)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 2; ; i++ { // the first was the clock
		// As the next of the consumer, so that there is no gap.
		n, err := fmt.Fprintf(f.to, "MSG %sflood.%d %s $JS.ACK.KV_x.y.1.%d.%d.%d.0 %d\r\n%s\r\n", prefix, i, f.sid, i, i, time.Now().UnixNano(), size, value)
		if f.sent += n; err != nil || f.sent > floodBytes {
			return
		}
	}
}

// What a server floods a Watch with that is slow to take it is dropped beyond
// feedBytes.
func TestFloodOfAWatch(t *testing.T) {
	s := start(t, "")
	for _, size := range []int{64 << 10, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			f := newFlooder(t, s.addr.Load().(string))
			st, err := Open(t.Context(), "nats://"+f.front.Addr().String(), cluster.StoreOptions{Namespace: fmt.Sprintf("n%d", size)})
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			ctx, cancel := context.WithCancel(t.Context())
			synced, ended := make(chan bool, 1), make(chan error, 1)
			go func() {
				ended <- st.Watch(ctx, "", func(e cluster.Event) {
					if e.Synced {
						synced <- true
					}
					<-ctx.Done()
				})
			}()
			<-synced
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			f.flood(fmt.Sprintf("$KV.n%d.", size), size)
			runtime.GC()
			runtime.ReadMemStats(&now)
			grew := int64(now.HeapAlloc) - int64(before.HeapAlloc)
			t.Logf("%d MiB were sent, the heap grew by %d MiB", f.sent>>20, grew>>20)
			if grew > 3*feedBytes {
				t.Errorf("the heap grew by %d bytes", grew)
			}
			cancel()
			<-ended
		})
	}
}
