// Command doorman shows hooks: it lets two clients of an address in at a time,
// tells others to come back later, and logs how long each one stayed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/netip"
	"sync"

	"netserver"
	"netserver/port"
)

const most = 2 // clients of one address at a time

type doorman struct {
	mu   sync.Mutex // hooks of different clients run at the same time
	here map[netip.Addr]int
}

func (d *doorman) allow(_ context.Context, c *netserver.Conn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.here[c.Peer().IP] >= most {
		return fmt.Errorf("%d clients of %v are here already", most, c.Peer().IP)
	}
	d.here[c.Peer().IP]++
	return nil
}

func denied(_ context.Context, c *netserver.Conn, _ *netserver.Error) {
	io.WriteString(c, "Come back later.\r\n")
}

func (d *doorman) closed(c *netserver.Conn, r netserver.Record) {
	if r.Stage < netserver.StageHandler {
		return // it never came in
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.here[c.Peer().IP]--; d.here[c.Peer().IP] == 0 {
		delete(d.here, c.Peer().IP)
	}
	log.Printf("client %d stayed for %v and sent %d bytes", r.ID, r.Time, r.In)
}

func echo(_ context.Context, c *netserver.Conn) error {
	_, err := io.Copy(c, c)
	return err
}

func main() {
	d := &doorman{here: make(map[netip.Addr]int)}
	s := &netserver.Server{Handler: netserver.HandlerFunc(echo)}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "20203", Proto: "tcp"}}
	flag.Func("port", "port to listen on (default: 127.0.0.1:20203)", port.Flag(&s.Config.Ports))
	flag.Parse()
	s.Hooks = netserver.Hooks{Allow: d.allow, Denied: denied, Closed: d.closed}
	log.Fatal(s.ListenAndServe(context.Background()))
}
