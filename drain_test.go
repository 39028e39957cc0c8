package netserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
)

// A read that waits ends when the server drains, once, and loses nothing: not
// half a line, nor what a TLS record holds.
func TestReadsEndOnDrain(t *testing.T) {
	for _, proto := range netservertest.Streams() {
		for _, limits := range []netserver.Config{{}, {Timeouts: netserver.Timeouts{Idle: time.Hour, Life: time.Hour}}} {
			t.Run(fmt.Sprintf("%s/%v", proto, limits.Timeouts.Idle), func(t *testing.T) {
				half := make(chan struct{})
				s := &netserver.Server{Config: limits, Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
					c.EndReadsOnDrain()
					if b, err := c.Peek(4); err != nil || string(b) != "half" {
						t.Errorf("Peek: %q, %v", b, err)
					}
					close(half)
					if line, err := c.ReadLine(); err != netserver.ErrDraining {
						t.Errorf("ReadLine while the server drains: %q, %v", line, err)
					}
					fmt.Fprintln(c, "421 closing")
					line, err := c.ReadLine()
					if err != nil || string(line) != "half a line" {
						t.Errorf("the line after that: %q, %v", line, err)
					}
					var b [1]byte
					if _, err := c.Read(b[:]); err != io.EOF {
						t.Errorf("the end: %v", err)
					}
					return netserver.ErrDraining
				})}
				r := netservertest.Start(t, s, proto)
				c := r.Dial(t, proto)
				fmt.Fprint(c, "half")
				within(t, "half a line", half)
				r.Drain()
				if line, err := bufio.NewReader(c).ReadString('\n'); line != "421 closing\n" {
					t.Errorf("the client got %q, %v", line, err)
				}
				fmt.Fprint(c, " a line\r\n")
				if w, ok := c.(interface{ CloseWrite() error }); ok {
					w.CloseWrite()
				}
				if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Served {
					t.Errorf("%v", rec)
				}
			})
		}
	}
}

// Whoever asks when the server drains already is told at once; whoever does not
// ask is not, nor does a deadline of the Handler's keep the news back.
func TestDrainIsToldOnce(t *testing.T) {
	var begun sync.WaitGroup
	begun.Add(3)
	ends := make(chan error, 3)
	asks := make(chan func(c *netserver.Conn), 3)
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		(<-asks)(c)
		_, err := io.Copy(io.Discard, c)
		ends <- err
		return nil
	})}
	asks <- func(c *netserver.Conn) { begun.Done() }
	asks <- func(c *netserver.Conn) {
		c.EndReadsOnDrain()
		begun.Done()
		<-c.Draining()
		c.SetReadDeadline(time.Now().Add(time.Hour))
	}
	asks <- func(c *netserver.Conn) {
		begun.Done()
		<-c.Draining()
		c.EndReadsOnDrain()
	}
	r := netservertest.Start(t, s, "tcp")
	var cs []net.Conn
	for range 3 {
		cs = append(cs, r.Dial(t, "tcp"))
	}
	begun.Wait()
	r.Drain()
	for range 2 {
		if err := within(t, "ErrDraining", ends); err != netserver.ErrDraining {
			t.Errorf("who asked: %v", err)
		}
	}
	for _, c := range cs {
		c.Close()
	}
	if err := within(t, "the end of who did not ask", ends); err != nil {
		t.Errorf("who did not ask: %v", err)
	}
}

// A Handler that returns while a goroutine of its own still has the Conn: that
// one gets an error, and no buffer that another client has by now.
func TestConnKeptByItsHandler(t *testing.T) {
	reads := map[string]func(c *netserver.Conn) error{
		"ReadLine":  func(c *netserver.Conn) error { _, err := c.ReadLine(); return err },
		"ReadUntil": func(c *netserver.Conn) error { _, err := c.ReadUntil(';', 10); return err },
		"Peek":      func(c *netserver.Conn) error { _, err := c.Peek(5); return err },
		"Read":      func(c *netserver.Conn) error { _, err := c.Read(make([]byte, 5)); return err },
		"WriteTo":   func(c *netserver.Conn) error { _, err := c.WriteTo(io.Discard); return err },
		"Write":     func(c *netserver.Conn) error { _, err := c.Write([]byte("late")); return err },
		"ReadFrom":  func(c *netserver.Conn) error { _, err := c.ReadFrom(new(endless)); return err },
	}
	for _, proto := range netservertest.Streams() {
		for name, read := range reads {
			t.Run(proto+"/"+name, func(t *testing.T) {
				if raceOn && proto == "ssl" && name == "Read" {
					t.Skip("close looks, without a lock, for bytes that TLS holds; it gives no buffer away")
				}
				last := make(chan error, 1)
				s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
					if _, err := c.ReadLine(); err != nil {
						return err
					}
					go func() {
						var err error
						for end := time.Now().Add(30 * time.Second); !errors.Is(err, net.ErrClosed) && time.Now().Before(end); {
							err = read(c) // as the Handler returns, and after that
						}
						last <- err
					}()
					return nil
				})}
				r := netservertest.Start(t, s, proto)
				c := r.Dial(t, proto)
				fmt.Fprint(c, "first\nsecond\nthird\n")
				io.Copy(io.Discard, c)
				c.Close()
				r.Records(t, 1)
				if err := within(t, "an error", last); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// endless is a Reader without an end.
type endless struct{}

func (*endless) Read(b []byte) (int, error) { return len(b), nil }
