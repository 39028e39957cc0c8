// Command chat is Net::Server's samplechat.pl: it passes what a client says to
// all others, whether they came by TLS, TCP or a UNIX socket, and ends those who
// say nothing for long. Only clients from this machine may come in, as there.
//
// All of it happens one at a time, so what clients share needs no locks, and a
// client that only listens costs no goroutine. One that does not take its lines
// is ended.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"netserver"
	"netserver/handler/events"
	"netserver/port"
)

// A member is a client as the room knows it.
type member struct {
	senior bool // it has been silent before
}

// A room has everybody who is here.
type room struct {
	events.Handler
	patience time.Duration // with those who say nothing; twice that with seniors
}

func newRoom(patience time.Duration) *room {
	r := &room{patience: patience}
	r.Open, r.Input, r.Timeout, r.Drain, r.Handler.Close = r.join, r.input, r.silent, r.drain, r.leave
	return r
}

// name is what others see of a client.
func name(c *events.Client) string {
	if a := c.RemoteAddr().String(); a != "" && a != "@" {
		return fmt.Sprintf("(#%d) from %s", c.ID(), a)
	}
	return fmt.Sprintf("(#%d) from here", c.ID())
}

// tell gives a line to all others, and waits for nobody.
func (r *room) tell(from *events.Client, format string, args ...any) (size int) {
	line := fmt.Appendf(nil, format+"\r\n", args...)
	r.Broadcast(line, func(c *events.Client) bool { return c != from })
	return len(line)
}

func (r *room) join(c *events.Client) error {
	c.Value = &member{}
	r.tell(c, "JOIN: %s", name(c))
	fmt.Fprintf(c, "Welcome, you are number %d to connect.\r\n", c.ID())
	c.SetTimeout(r.patience)
	return nil
}

// input takes the lines that are whole, and leaves the rest.
func (r *room) input(c *events.Client, in []byte) (used int, err error) {
	for {
		line, _, whole := bytes.Cut(in[used:], []byte("\n"))
		if !whole {
			return used, nil
		}
		used += len(line) + 1
		if line = bytes.TrimRight(line, "\r"); len(line) > 0 {
			fmt.Fprintf(c, " - sent %d byte message\r\n", r.tell(c, "%d: %s", c.ID(), line))
		}
		if c.Value.(*member).senior {
			c.SetTimeout(2 * r.patience)
		}
	}
}

// silent is called for a client that has said nothing for long.
func (r *room) silent(c *events.Client) error {
	m := c.Value.(*member)
	if m.senior {
		fmt.Fprint(c, "If you don't want to talk then you should leave. *BYE*\r\n")
		return io.EOF
	}
	m.senior = true
	fmt.Fprint(c, "Whoa, you must have a lot of patience.  You have been upgraded.\r\n")
	c.SetTimeout(2 * r.patience)
	return nil
}

func (r *room) drain(c *events.Client) error {
	fmt.Fprint(c, "* the server closes\r\n")
	return io.EOF
}

func (r *room) leave(c *events.Client, _ error) { r.tell(c, "LEFT: %s", name(c)) }

// allow lets clients of this machine in.
func allow(_ context.Context, c *netserver.Conn) error {
	if ip := c.Peer().IP; ip.IsValid() && !ip.IsLoopback() {
		return errors.New("not from here")
	}
	return nil
}

func main() {
	patience := flag.Duration("patience", 20*time.Second, "how long a client may say nothing at first")
	s := &netserver.Server{Hooks: netserver.Hooks{
		Allow:  allow,
		Denied: func(_ context.Context, c *netserver.Conn, _ *netserver.Error) { fmt.Fprint(c, "Go away!\n") },
	}}
	flag.StringVar(&s.Config.TLS.CertFile, "cert", "", "file of certificate and key (default: a certificate made in memory, on loopback)")
	flag.Func("port", "port to listen on, such as 127.0.0.1:7001/ssl or chat.sock|unix, each time the flag is given", port.Flag(&s.Config.Ports))
	flag.Parse()
	s.Handler = newRoom(*patience)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.ListenAndServe(ctx); err != nil {
		log.Fatal(err)
	}
}
