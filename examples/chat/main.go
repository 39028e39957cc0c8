// Command chat passes what a client says to all others, whether they came by
// TLS, TCP or a UNIX socket. A client that only listens costs no goroutine but
// its own, and one that does not take its lines is left.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"sync"

	"netserver"
	"netserver/port"
)

const maxQueue = 64 << 10 // bytes that wait for a client

// A room has everybody who is here.
type room struct {
	mu   sync.Mutex
	here map[*member]bool
}

// A member is a client with what waits to be written to it.
type member struct {
	*netserver.Conn
	mu      sync.Mutex
	queue   []byte
	writing bool
}

// Serve has c in the room until it leaves or the server stops.
func (r *room) Serve(ctx context.Context, c *netserver.Conn) error {
	c.EndReadsOnDrain()
	m := &member{Conn: c}
	r.change(func() { r.here[m] = true })
	defer r.change(func() { delete(r.here, m) })
	for {
		line, err := c.ReadLine()
		if errors.Is(err, netserver.ErrDraining) {
			fmt.Fprintln(c, "* the server closes")
		}
		if err != nil {
			return err
		}
		r.tell(fmt.Sprintf("%d: %s\n", c.ID(), line), m)
	}
}

func (r *room) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// tell gives a line to all but the one who said it, and waits for nobody.
func (r *room) tell(line string, from *member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.here {
		if m != from {
			m.take(line)
		}
	}
}

func (m *member) take(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queue = append(m.queue, line...); len(m.queue) > maxQueue {
		m.Close() // its reads end, and so does it
		m.queue = nil
	}
	if !m.writing {
		m.writing = true
		go m.write()
	}
}

// write runs while there is something for m.
func (m *member) write() {
	for {
		m.mu.Lock()
		lines := m.queue
		m.queue, m.writing = nil, len(lines) > 0
		m.mu.Unlock()
		if len(lines) == 0 {
			return
		}
		m.Write(lines)
	}
}

func main() {
	s := &netserver.Server{Handler: &room{here: make(map[*member]bool)}}
	flag.StringVar(&s.Config.TLS.CertFile, "cert", "", "file of certificate and key (default: a certificate made in memory, on loopback)")
	flag.Func("port", "port to listen on, such as 127.0.0.1:7001/ssl or chat.sock|unix, each time the flag is given", port.Flag(&s.Config.Ports))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.ListenAndServe(ctx); err != nil {
		log.Fatal(err)
	}
}
