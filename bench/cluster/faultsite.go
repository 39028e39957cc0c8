package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"netserver/bench/honest"
	"netserver/bench/loopback"
	"netserver/internal/control"
)

// A cut keeps a node, or all, from the store. In namespaces only the way to the
// store is cut, never that of clients.
type cut struct{ up, down []string } // arguments of ip

// cutOf returns a cut of a node: one that it hears of at once, or one that lets
// the store hear it and the answers vanish.
func (s *site) cutOf(node string, silent bool) cut {
	space, kind, to := node, "unreachable", s.host["store"]
	if silent {
		space, kind, to = "store", "blackhole", s.host[node]
	}
	route := func(verb string) []string {
		return []string{"-n", s.o.space + "-" + space, "route", verb, kind, to + "/32"}
	}
	return cut{up: route("del"), down: route("add")}
}

// cutOfAll returns a cut of the store from all.
func (s *site) cutOfAll() cut {
	link := func(state string) []string {
		return []string{"-n", s.o.space + "-store", "link", "set", "eth0", state}
	}
	return cut{up: link("up"), down: link("down")}
}

func sendSignal(pid int, sig os.Signal) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Signal(sig)
}

var sharerPIDs = regexp.MustCompile(`the cluster process serves, pid (\d+)`)

// sharer returns the cluster process that a node has told of since its log had
// so many bytes; 0 if there is none.
func (n *node) sharer(since int64) int {
	log, err := os.ReadFile(n.file("log"))
	if err != nil || int64(len(log)) < since {
		return 0
	}
	all := sharerPIDs.FindAllSubmatch(log[since:], -1)
	if len(all) == 0 {
		return 0
	}
	pid, _ := strconv.Atoi(string(all[len(all)-1][1]))
	// It may have ended, and the number be somebody else's.
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.Contains(args, []byte(n.file("toml"))) {
		return 0
	}
	return pid
}

func (n *node) logSize() int64 {
	info, err := os.Stat(n.file("log"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// aWorker returns a process of the node that serves clients, not an earlier one.
func (n *node) aWorker(ctx context.Context, not int) (int, error) {
	st, err := ask[control.Status](ctx, n, &control.Request{Verb: control.VerbStatus})
	if err != nil {
		return 0, err
	}
	for _, g := range st.Generations {
		for _, w := range g.Workers {
			if w.State == "serving" && w.PID != not {
				return w.PID, nil
			}
		}
	}
	return 0, errors.New("no process serves")
}

// banList returns what is in a node's penalty box.
func (n *node) banList(ctx context.Context) (map[string]bool, error) {
	p, err := ask[control.Penalties](ctx, n, &control.Request{Verb: control.VerbPenalties})
	if err == nil && (p.More || len(p.Silent) > 0) {
		err = errors.New("not all of the penalty box")
	}
	all := make(map[string]bool, len(p.Boxed))
	for _, b := range p.Boxed {
		all[strings.TrimSuffix(b.Network, "/32")] = true
	}
	return all, err
}

// A dump is a copy of what the store had.
func (s *site) dumpFile(n int) string { return filepath.Join(s.dir, fmt.Sprintf("dump-%d.rdb", n)) }

// saveStore has the store write its dump, and keeps a copy of it.
func (s *site) saveStore(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	password, err := os.ReadFile(filepath.Join(s.dir, passwordFile))
	if err != nil {
		return err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(s.host["store"], fmt.Sprint(storePort)))
	if err != nil {
		return err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	c.SetDeadline(deadline)
	if _, err := fmt.Fprintf(c, "AUTH %s\r\nSAVE\r\n", bytes.TrimSpace(password)); err != nil {
		return err
	}
	in := bufio.NewReader(c)
	for range 2 {
		if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "+OK") {
			return fmt.Errorf("the store says %q: %w", line, err)
		}
	}
	return copyFile(filepath.Join(s.dir, "dump.rdb"), s.dumpFile(n))
}

// loadStore kills the store and starts it with a dump; 0 is an empty one.
func (s *site) loadStore(ctx context.Context, n int) error {
	s.redis.Kill()
	s.redis.Stop()
	at := filepath.Join(s.dir, "dump.rdb")
	if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if n > 0 {
		if err := copyFile(s.dumpFile(n), at); err != nil {
			return err
		}
	}
	return s.startStore(ctx)
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// A session is what a client keeps of one: the ticket that it got last.
type session struct{ state *tls.ClientSessionState }

func (s *session) Get(string) (*tls.ClientSessionState, bool) { return s.state, s.state != nil }

func (s *session) Put(_ string, state *tls.ClientSessionState) {
	if state != nil {
		s.state = state
	}
}

// visit is a TLS client of one node, with a ticket if it has one. It returns
// the ticket that it got.
func (s *site) visit(ctx context.Context, i int, with *tls.ClientSessionState) (resumed bool, got *tls.ClientSessionState, err error) {
	ctx, cancel := context.WithTimeout(ctx, clientTime)
	defer cancel()
	tc, err := loopback.Dial(ctx, netip.Addr{}, s.at(toTLS+i), clientTime)
	if err != nil {
		return false, nil, fmt.Errorf("connect: %w", err)
	}
	defer tc.Close()
	deadline, _ := ctx.Deadline()
	tc.SetDeadline(deadline)
	cfg, keep := honest.TLSConfig(), &session{state: with}
	cfg.SessionTicketsDisabled, cfg.ClientSessionCache, cfg.ServerName = false, keep, "localhost"
	c := tls.Client(tc, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		return false, nil, fmt.Errorf("handshake: %w", err)
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return false, nil, fmt.Errorf("write: %w", err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil { // behind the ticket
		return false, nil, fmt.Errorf("read: %w", err)
	}
	return c.ConnectionState().DidResume, keep.state, nil
}
