package bench

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// BenchmarkHandshake prints the server's CPU time for a full TLS 1.3 handshake
// of the engine and of a bare crypto/tls loop, and their ratio.
func BenchmarkHandshake(b *testing.B) {
	compare(b, "bare-tls", "engine-tls", func(p *process, n int) error { return handshakes(p.addr, n) })
}

// BenchmarkAdmission prints the same for the engine without its handshake
// queue and with it.
func BenchmarkAdmission(b *testing.B) {
	compare(b, "unfair-tls", "engine-tls", func(p *process, n int) error { return handshakes(p.addr, n) })
}

// BenchmarkEchoTLS prints the same for 16 KiB echoed over TLS.
func BenchmarkEchoTLS(b *testing.B) {
	compare(b, "bare-tls", "engine-tls", func(p *process, n int) error { return stream(p.addr, true, n) })
}

// BenchmarkEchoTCP prints the same for 16 KiB echoed over TCP.
func BenchmarkEchoTCP(b *testing.B) {
	compare(b, "bare-tcp", "engine-tcp", func(p *process, n int) error { return stream(p.addr, false, n) })
}

// BenchmarkConnect prints the same for a TCP connection that is opened, used
// for one line and closed.
func BenchmarkConnect(b *testing.B) {
	compare(b, "bare-tcp", "engine-tcp", func(p *process, n int) error { return connects(p.addr, n) })
}

// compare loads two servers in turns, so that a machine whose speed drifts
// does so for both.
func compare(b *testing.B, bare, engine string, load func(p *process, n int) error) {
	ps := [2]*process{startProcess(b, bare), startProcess(b, engine)}
	var cpu [2]time.Duration
	for _, p := range ps {
		if err := load(p, min(b.N, 200)); err != nil { // warm up
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	const turns = 10
	total := 0
	for range turns {
		n := (b.N + turns - 1) / turns
		total += n
		for i, p := range ps {
			before, _ := p.usage(b)
			if err := load(p, n); err != nil {
				b.Fatal(err)
			}
			after, _ := p.usage(b)
			cpu[i] += after - before
		}
	}
	b.ReportMetric(float64(cpu[0].Microseconds())/float64(total), "bare-cpu-us/op")
	b.ReportMetric(float64(cpu[1].Microseconds())/float64(total), "engine-cpu-us/op")
	b.ReportMetric(float64(cpu[1])/float64(cpu[0]), "ratio")
}

// parallel runs f n times on four goroutines.
func parallel(n int, f func() error) error {
	const workers = 4
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				if err := f(); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

var insecure = &tls.Config{InsecureSkipVerify: true}

func handshakes(addr string, n int) error {
	return parallel(n, func() error {
		c, err := tls.Dial("tcp", addr, insecure)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err = io.ReadFull(c, make([]byte, 1))
		return err
	})
}

func connects(addr string, n int) error {
	return parallel(n, func() error {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello\n")); err != nil {
			return err
		}
		_, err = io.ReadFull(c, make([]byte, 6))
		return err
	})
}

func stream(addr string, secure bool, n int) error {
	var c net.Conn
	var err error
	if secure {
		c, err = tls.Dial("tcp", addr, insecure)
	} else {
		c, err = net.Dial("tcp", addr)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	block := make([]byte, 16<<10)
	wrote := make(chan error, 1)
	go func() {
		for range n {
			if _, err := c.Write(block); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.Copy(io.Discard, c)
	if err == nil && got != int64(n)*int64(len(block)) {
		err = io.ErrUnexpectedEOF
	}
	if werr := <-wrote; err == nil {
		err = werr
	}
	return err
}
