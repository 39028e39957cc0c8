package events_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/handler/events"
	"netserver/port"
	"netserver/tlsparams"
)

const (
	pairMessage = 1 << 10
	pairRound   = 300 * time.Millisecond
)

// A matcher finds the two clients of a pair by the number that they begin with.
type matcher[C any] struct {
	mu    sync.Mutex
	first map[uint32]C
}

// meet returns the other one, if it is there already.
func (m *matcher[C]) meet(number uint32, c C) (other C, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if other, ok = m.first[number]; !ok {
		m.first[number] = c
	}
	return other, ok
}

// A talker is a client of goroutinePairs.
type talker struct {
	conn  net.Conn
	other chan *talker
}

// goroutinePairs passes messages between pairs of clients, with a goroutine for
// each.
type goroutinePairs struct{ matcher[*talker] }

func (g *goroutinePairs) Serve(_ context.Context, c *netserver.Conn) error {
	var number [4]byte
	if _, err := io.ReadFull(c, number[:]); err != nil {
		return err
	}
	t := &talker{c, make(chan *talker, 1)}
	other, ok := g.meet(binary.BigEndian.Uint32(number[:]), t)
	if ok {
		other.other <- t
	} else {
		other = <-t.other
	}
	c.Write([]byte("+"))
	buf := make([]byte, 4<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		if _, err := other.conn.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// eventPairs does the same by events.
func eventPairs(parallel bool) *events.Handler {
	m := matcher[*events.Client]{first: make(map[uint32]*events.Client)}
	h := &events.Handler{Parallel: parallel}
	h.Input = func(c *events.Client, in []byte) (int, error) {
		partner, _ := c.Value.(*atomic.Pointer[events.Client])
		if partner == nil {
			partner = new(atomic.Pointer[events.Client])
			c.Value = partner
			if other, ok := m.meet(binary.BigEndian.Uint32(in), c); ok {
				partner.Store(other)
				other.Value.(*atomic.Pointer[events.Client]).Store(c)
				c.Write([]byte("+"))
				other.Write([]byte("+"))
			}
			return 4, nil
		}
		_, err := partner.Load().Write(in)
		return len(in), err
	}
	return h
}

// pairs is another process: n pairs of clients, of which each has one message on
// its way at all times while "go" has been said.
func pairs(addr, n string) {
	count, _ := strconv.Atoi(n)
	dial := func(number int) net.Conn {
		var c net.Conn
		var err error
		if os.Getenv("EVENTS_TEST_PROTO") == "ssl" {
			c, err = tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		} else {
			c, err = net.Dial("tcp", addr)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		c.Write(binary.BigEndian.AppendUint32(nil, uint32(number)))
		return c
	}
	var a, b []net.Conn
	for i := range count {
		a, b = append(a, dial(i)), append(b, dial(i))
		for _, c := range []net.Conn{a[i], b[i]} {
			io.ReadFull(c, make([]byte, 1))
		}
	}
	for i := range b {
		go io.Copy(b[i], struct{ io.Reader }{b[i]})
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var total atomic.Int64
		var all sync.WaitGroup
		end := time.Now().Add(pairRound)
		for _, c := range a {
			all.Go(func() {
				message := bytes.Repeat([]byte("m"), pairMessage)
				for time.Now().Before(end) {
					c.Write(message)
					if _, err := io.ReadFull(c, message); err != nil {
						fmt.Println(err)
						os.Exit(1)
					}
					total.Add(2)
				}
			})
		}
		all.Wait()
		fmt.Println(total.Load())
	}
}

// A pairRun is a server with its clients.
type pairRun struct {
	in  io.Writer
	out *bufio.Scanner
}

func startPairs(b *testing.B, h netserver.Handler, kind string, n int) *pairRun {
	s := &netserver.Server{Handler: h, Log: slog.New(slog.DiscardHandler)}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: kind, IPv: "4"}}
	s.Config.TLS.CertFile = tlsparams.ForceSelfSigned
	ls, err := s.Listen(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(b.Context(), ls...) }()
	b.Cleanup(func() { s.Close(); <-served })
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EVENTS_TEST_CLIENTS="+ls[0].Addr().String(), fmt.Sprint("EVENTS_TEST_PAIRS=", n), "EVENTS_TEST_PROTO="+kind)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	p := &pairRun{in, bufio.NewScanner(out)}
	if p.out.Scan(); p.out.Text() != "ready" {
		b.Fatal(p.out.Text())
	}
	return p
}

// round returns the messages of a second.
func (p *pairRun) round(b *testing.B) float64 {
	io.WriteString(p.in, "go\n")
	p.out.Scan()
	n, err := strconv.Atoi(p.out.Text())
	if err != nil {
		b.Fatal(p.out.Text())
	}
	return float64(n) / pairRound.Seconds()
}

// BenchmarkPairs compares the rate of messages of 1 KiB between pairs of clients
// with that of a handler that has a goroutine for each: rounds of both, one after
// the other, and the median of their ratios.
func BenchmarkPairs(b *testing.B) {
	for _, kind := range []string{"tcp", "ssl"} {
		for _, parallel := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/parallel=%v", kind, parallel), func(b *testing.B) {
				const n = 50
				goroutines := &goroutinePairs{matcher[*talker]{first: make(map[uint32]*talker)}}
				base := startPairs(b, goroutines, kind, n)
				ours := startPairs(b, eventPairs(parallel), kind, n)
				var ratios, rates []float64
				for b.Loop() {
					was := base.round(b)
					is := ours.round(b)
					ratios, rates = append(ratios, is/was), append(rates, is)
				}
				slices.Sort(ratios)
				slices.Sort(rates)
				b.ReportMetric(ratios[len(ratios)/2], "ratio")
				b.ReportMetric(rates[len(rates)/2], "messages/s")
			})
		}
	}
}
