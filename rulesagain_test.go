package netserver_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/outcome"
)

// namesOf127 gives each address of 127.0.0.0/24 the name hN.example.
type namesOf127 struct {
	mu   sync.Mutex
	down bool
}

func (n *namesOf127) LookupAddr(_ context.Context, addr string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return nil, errors.New("the name server is down")
	}
	return []string{"h" + addr[strings.LastIndexByte(addr, '.')+1:] + ".example."}, nil
}

func (n *namesOf127) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var last int
	if _, err := fmt.Sscanf(host, "h%d.example.", &last); err != nil {
		return nil, err
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, byte(last)})}, nil
}

func (n *namesOf127) fail() {
	n.mu.Lock()
	n.down = true
	n.mu.Unlock()
}

// writeRules replaces a file of rules as one should.
func writeRules(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

// dialAs connects to a tcp or ssl port from an address of 127.0.0.0/8, and has
// one line echoed.
func dialAs(t *testing.T, r *netservertest.Running, name, from string) (net.Conn, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 20 * time.Second}
	nc, err := d.Dial("tcp", r.Addr(t, name).String())
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	if name == "ssl" {
		nc = tls.Client(nc, r.ClientTLS())
	}
	return nc, echoOnce(nc)
}

func echoOnce(nc net.Conn) error {
	if _, err := fmt.Fprint(nc, "x\n"); err != nil {
		return err
	}
	_, err := bufio.NewReader(nc).ReadString('\n')
	return err
}

// Who is connected is judged by the rules of now: a ban holds for those who
// are here already, for no others, and on every kind of port.
func TestChangedRulesCutWhoIsHere(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 is no address of every system")
	}
	for _, c := range []struct {
		name, key, before, after, resolve string
		keep                              bool
	}{
		{name: "address", key: "cidr_deny_file", before: "# nobody\n", after: "127.0.0.2\n"},
		{name: "expression", key: "deny_file", before: "# nobody\n", after: "127\\.0\\.0\\.2\n"},
		{name: "not allowed any more", key: "cidr_allow_file", before: "127.0.0.0/24\n", after: "127.0.0.1\n"},
		{name: "by name", key: "deny_file", before: "# nobody\n", after: "H2\\.example\n", resolve: "1"},
		{name: "by confirmed name", key: "allow_file", before: "h\\d+\\.example\n", after: "h1\\.example\n", resolve: "double"},
		{name: "left alone", key: "cidr_deny_file", before: "# nobody\n", after: "127.0.0.2\n", keep: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rules")
			writeRules(t, path, c.before)
			names := new(namesOf127)
			s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines), Resolver: names}
			s.Config.Access.KeepOpen = c.keep
			s.Config.Access.Set(c.key, []conf.Value{{Text: path}})
			if strings.Contains(c.key, "deny") {
				s.Config.Access.Set("allow", []conf.Value{{Text: ".*"}})
			}
			if c.resolve != "" {
				s.Config.Access.Set("reverse_lookups", []conf.Value{{Text: c.resolve}})
			}
			r := netservertest.Start(t, s, "tcp", "ssl")
			bad, good := make(map[string]net.Conn), make(map[string]net.Conn)
			for _, port := range []string{"tcp", "ssl"} {
				var err error
				if bad[port], err = dialAs(t, r, port, "127.0.0.2"); err != nil {
					t.Fatal(err)
				}
				if good[port], err = dialAs(t, r, port, "127.0.0.1"); err != nil {
					t.Fatal(err)
				}
			}
			names.fail() // nobody is asked again
			writeRules(t, path, c.after)
			netservertest.Eventually(t, "the new rules", func() bool { return strings.Contains(r.Log(), "the new rules are in force") })
			if c.keep {
				for port, nc := range bad {
					if err := echoOnce(nc); err != nil {
						t.Errorf("%s: %v", port, err)
					}
				}
				return
			}
			for port, nc := range bad {
				if n, err := nc.Read(make([]byte, 1)); err == nil || n > 0 {
					t.Errorf("%s: still served", port)
				}
			}
			for _, rec := range r.Records(t, 2) {
				if !errors.Is(rec.Err, netserver.ErrDenied) || rec.Outcome != outcome.Denied || !strings.Contains(rec.Err.Error(), "the rules have changed") {
					t.Errorf("record: %v, %v", rec.Outcome, rec.Err)
				}
			}
			for port, nc := range good {
				if err := echoOnce(nc); err != nil {
					t.Errorf("%s: %v", port, err)
				}
			}
			netservertest.Eventually(t, "a log line", func() bool { return strings.Contains(r.Log(), "the access rules have changed: clients cut") })
		})
	}
}

// A client that comes in while the rules change is judged by the old ones or
// cut by the new ones; none slips through in between.
func TestNobodySlipsThroughChangingRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules")
	writeRules(t, path, "# nobody\n")
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Access.Set("cidr_deny_file", []conf.Value{{Text: path}})
	s.Config.Access.Set("allow", []conf.Value{{Text: ".*"}})
	r := netservertest.Start(t, s, "tcp")
	to := r.Addr(t, "tcp").String()
	var dialers, clients sync.WaitGroup
	var inForce atomic.Bool // somebody was cut or refused
	places := make(chan struct{}, 1000)
	for range 4 {
		dialers.Go(func() {
			for !inForce.Load() {
				places <- struct{}{} // when all are taken, the rules make room
				nc, err := net.Dial("tcp", to)
				if err != nil {
					<-places
					continue
				}
				clients.Go(func() {
					holdOpen(nc)
					inForce.Store(true)
					<-places
				})
			}
		})
	}
	writeRules(t, path, "127.0.0.1\n")
	dialers.Wait()
	netservertest.Eventually(t, "everybody is gone", func() bool { return s.Monitor().Stats().Clients == 0 })
	clients.Wait()
}

// holdOpen keeps a connection until the server ends it.
func holdOpen(nc net.Conn) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	nc.Read(make([]byte, 1))
}
