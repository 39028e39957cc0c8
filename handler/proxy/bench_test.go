package proxy_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
)

// BenchmarkThroughput sends from the client to the backend through the proxy.
func BenchmarkThroughput(b *testing.B) {
	for _, client := range []string{"tcp", "tls", "unix"} {
		for _, backend := range []string{"tcp", "unix"} {
			for _, way := range []string{"up", "down"} {
				b.Run(fmt.Sprintf("%s to %s/%s", client, backend, way), func(b *testing.B) {
					const chunk = 1 << 20
					_, from, to := pair(b, client, backend, netserver.Config{})
					if way == "down" {
						from, to = to, from
					}
					b.SetBytes(chunk)
					b.ReportAllocs()
					before := cpuTime()
					done := make(chan error, 1)
					go push(from, io.LimitReader(zeros{}, int64(b.N)*chunk), done)
					if _, err := io.Copy(io.Discard, struct{ io.Reader }{to}); err != nil {
						b.Fatal(err)
					}
					must(b, <-done)
					// The ends of the benchmark are in it too.
					b.ReportMetric((cpuTime()-before).Seconds()*1024/float64(b.N), "cpu-s/GiB")
				})
			}
		}
	}
}

// BenchmarkRoundTrip sends one byte there and one back.
func BenchmarkRoundTrip(b *testing.B) {
	for _, client := range []string{"tcp", "tls"} {
		b.Run(client, func(b *testing.B) {
			_, c, s := pair(b, client, "tcp", netserver.Config{})
			go io.Copy(struct{ io.Writer }{s}, struct{ io.Reader }{s})
			x := []byte("x")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(x); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkClient connects a client, sends it one byte of the backend, and
// ends it.
func BenchmarkClient(b *testing.B) {
	l := listen(b, "tcp")
	go answerAll(l)
	of := func(n int) *proxy.Backend {
		be := &proxy.Backend{}
		for range n {
			l := listen(b, "tcp")
			go answerAll(l)
			be.Targets = append(be.Targets, proxy.Target{Address: targetOf(l)})
		}
		return be
	}
	for _, test := range []struct {
		name string
		h    *proxy.Handler
	}{
		{"target", &proxy.Handler{Target: targetOf(l)}},
		{"backend of 1", &proxy.Handler{Backend: of(1)}},
		{"backend of 3", &proxy.Handler{Backend: of(3)}},
	} {
		b.Run(test.name, func(b *testing.B) {
			f := serve(b, "tcp", test.h, netserver.Config{})
			b.ReportAllocs()
			before := cpuTime()
			for b.Loop() {
				c, err := net.Dial("tcp", f.addr.String())
				must(b, err)
				want(b, c, "x")
				wantEOF(b, c)
				c.Close()
				<-f.recs
			}
			b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}

// answerAll sends a byte to each connection and ends it, until l is closed.
func answerAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.WriteString(c, "x")
		c.Close()
	}
}

// BenchmarkChecks checks 1000 targets every 10 s, and reports the share of one
// CPU that it takes, with what the accepting side in the same process takes.
func BenchmarkChecks(b *testing.B) {
	for _, check := range []string{"tcp", `expect x`, "http GET / 200"} {
		b.Run(check, func(b *testing.B) {
			l, err := net.Listen("tcp4", "0.0.0.0:0")
			must(b, err)
			defer l.Close()
			go answerChecks(l, check)
			_, p, _ := net.SplitHostPort(l.Addr().String())
			be := &proxy.Backend{}
			for i := range 1000 {
				be.Targets = append(be.Targets, proxy.Target{Address: fmt.Sprintf("127.0.%d.%d:%s", 1+i/200, 1+i%200, p)})
			}
			be.Check, err = proxy.ParseCheck(check)
			must(b, err)
			running(b, be)
			netservertest.Eventually(b, "all are checked", func() bool {
				for _, s := range be.List() {
					if s.Checked != "ok" {
						return false
					}
				}
				return true
			})
			begin, before := time.Now(), cpuTime()
			for b.Loop() {
				time.Sleep(10 * time.Second) // a whole round
			}
			b.ReportMetric(100*float64(cpuTime()-before)/float64(time.Since(begin)), "%cpu")
		})
	}
}

// answerChecks answers checks, until l is closed.
func answerChecks(l net.Listener, check string) {
	buf := make([]byte, 1024)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		switch {
		case check == "expect x":
			io.WriteString(c, "x")
		case check != "tcp":
			c.Read(buf)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
		c.Close()
	}
}

// BenchmarkSessions sends datagrams there and back, several under way at once.
func BenchmarkSessions(b *testing.B) {
	for _, clients := range []int{1, 32} {
		for _, answers := range []int{0, 1} {
			b.Run(fmt.Sprintf("%d clients/answers %d", clients, answers), func(b *testing.B) {
				f := serve(b, "udp", &proxy.Handler{Target: udpBackend(b, ""), Answers: answers}, netserver.Config{})
				f.recs = nil
				var all sync.WaitGroup
				b.ReportAllocs()
				before := cpuTime()
				for range clients {
					c := dialUDP(b, f)
					must(b, c.SetDeadline(time.Time{}))
					all.Go(func() {
						buf := make([]byte, 200)
						for range b.N/clients + 1 {
							c.Write(buf)
							c.SetReadDeadline(time.Now().Add(patience))
							if _, err := c.Read(buf); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}
