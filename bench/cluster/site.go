package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"netserver/bench/honest"
	"netserver/bench/peers"
	"netserver/internal/control"
)

// A site is where the programs run, and the programs.
type site struct {
	o        options
	dir      string
	place    peers.Place // the certificate
	host     map[string]string
	progress io.Writer

	redis, haproxy *peers.Process
	nodes          [3]*node
	perSource      int // max_per_source of the nodes; 0 is the default
	logLevel       int // of the nodes; 0 is the default
}

var nodeNames = [...]string{"a", "b", "c"}

// A node is a netserver, of the cluster or for itself.
type node struct {
	s     *site
	name  string
	alone bool
	proc  *peers.Process
}

// Ports of each node, and of the front: what is balanced, and the way to one
// node.
const (
	tlsPort, plainPort, healthPort   = 4430, 4431, 4432
	frontTLS, frontPlain             = 4400, 4401
	toTLS, toPlain                   = 4410, 4420 // and the node's number
	storePort                        = 6379
	front                            = "127.0.1.10"
	maxConns                         = 15000
	patience                         = 30 * time.Second
	penaltyPoints, penaltySeconds    = 3, 60
	clientTime                       = 10 * time.Second // for a new client; one that waits longer has failed
	namespace, passwordFile, keyFile = "bench", "password", "cluster.key"
)

func newSite(o options, dir string, progress io.Writer) (*site, error) {
	s := &site{o: o, dir: dir, progress: progress, host: map[string]string{"front": front, "a": "127.0.1.11", "b": "127.0.1.12", "c": "127.0.1.13", "store": "127.0.1.2"}}
	if o.space != "" {
		for _, one := range spaces {
			s.host[one.name] = network + one.host
		}
	}
	secret := func(name string, size int) error {
		b := make([]byte, size)
		rand.Read(b)
		return os.WriteFile(filepath.Join(dir, name), []byte(base64.StdEncoding.EncodeToString(b)+"\n"), 0o600)
	}
	return s, errors.Join(s.place.WriteCertificate(dir), secret(keyFile, 32), secret(passwordFile, 16))
}

// command is a program in one of the namespaces, if there are any.
func (s *site) command(space, name string, args ...string) *exec.Cmd {
	if s.o.space != "" && space != "front" {
		args = append([]string{"netns", "exec", s.o.space + "-" + space, name}, args...)
		name = "ip"
	}
	cmd := exec.Command(name, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "NETSERVER_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

// startStore starts an empty redis-server, or one with the dump of before.
func (s *site) startStore(ctx context.Context) (err error) {
	password, err := os.ReadFile(filepath.Join(s.dir, passwordFile))
	if err != nil {
		return err
	}
	text := fmt.Sprintf("bind %s\nport %d\nrequirepass %ssave \"\"\ndir %s\nlogfile %s/store.log\n", s.host["store"], storePort, password, s.dir, s.dir)
	file := filepath.Join(s.dir, "redis.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	s.redis, err = peers.StartTried(ctx, s.command("store", "redis-server", file), 1, func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(s.host["store"], fmt.Sprint(storePort)))
		if err == nil {
			c.Close()
		}
		return err
	})
	return err
}

func (s *site) startFront(ctx context.Context) (err error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "global\n  maxconn 6000\ndefaults\n  mode tcp\n  balance roundrobin\n  retries 3\n  option redispatch\n  timeout connect 2s\n  timeout client 10m\n  timeout server 10m\n")
	server := func(name string, port int, check bool) {
		fmt.Fprintf(&b, "  server %s %s:%d send-proxy-v2 source %s", name, s.host[name], port, s.host["front"])
		if check {
			fmt.Fprintf(&b, " check port %d inter 200ms fall 2 rise 1", healthPort)
		}
		fmt.Fprintln(&b)
	}
	for _, p := range [...]struct{ front, to, node int }{{frontTLS, toTLS, tlsPort}, {frontPlain, toPlain, plainPort}} {
		fmt.Fprintf(&b, "listen all%d\n  bind %s:%d\n", p.front, front, p.front)
		for _, name := range nodeNames {
			server(name, p.node, true)
		}
		for i, name := range nodeNames {
			fmt.Fprintf(&b, "listen only%d\n  bind %s:%d\n", p.to+i, front, p.to+i)
			server(name, p.node, false)
		}
	}
	file := filepath.Join(s.dir, "haproxy.cfg")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return err
	}
	s.haproxy, err = peers.StartTried(ctx, s.command("front", "haproxy", "-db", "-f", file), frontPlain, func(ctx context.Context) error {
		return honest.Once(ctx, netip.Addr{}, s.at(frontPlain), false)
	})
	return err
}

// at is a port of the front.
func (s *site) at(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(front), uint16(port))
}

func (n *node) file(kind string) string { return filepath.Join(n.s.dir, n.name+"."+kind) }

// start starts the node, whose ports are those of host. With proxied its clients
// have a PROXY header.
func (n *node) start(ctx context.Context, host string, proxied bool) (err error) {
	s := n.s
	var b strings.Builder
	fmt.Fprintf(&b, "host = %q\nlog_file = %q\ncontrol_socket = %q\nSSL_cert_file = %q\nSSL_key_file = %q\nSSL_session_id_context = \"bench\"\necho = \"raw\"\nmax_connections = %d\n",
		host, n.file("log"), n.file("ctl"), s.place.CertFile, s.place.KeyFile, maxConns)
	fmt.Fprintf(&b, "penalty_points = %d\npenalty_time = %d\n", penaltyPoints, penaltySeconds)
	if s.perSource > 0 {
		fmt.Fprintf(&b, "max_per_source = %d\n", s.perSource)
	}
	if s.logLevel > 0 {
		fmt.Fprintf(&b, "log_level = %d\n", s.logLevel)
	}
	if !n.alone {
		fmt.Fprintf(&b, "cluster = \"redis://%s:%d\"\ncluster_password_file = %q\ncluster_key_file = %q\ncluster_name = %q\ncluster_namespace = %q\n",
			s.host["store"], storePort, filepath.Join(s.dir, passwordFile), filepath.Join(s.dir, keyFile), n.name, namespace)
	}
	if proxied {
		fmt.Fprintf(&b, "proxy_protocol = \"require\"\nproxy_protocol_from = [%q, \"127.0.0.0/8\"]\n", s.host["front"])
	}
	fmt.Fprintf(&b, "[[listen]]\nport = \"%d/ssl\"\n[[listen]]\nport = \"%d/tcp\"\n[[listen]]\nport = \"%d/tcp\"\nhealth = true\nproxy_protocol = \"off\"\n", tlsPort, plainPort, healthPort)
	if err := os.WriteFile(n.file("toml"), []byte(b.String()), 0o600); err != nil {
		return err
	}
	space := n.name
	if s.host[space] != host { // none of the three
		space = "front"
	}
	cmd := s.command(space, s.o.binary, "--conf_file", n.file("toml"))
	peers.Apart(cmd)
	n.proc, err = peers.StartTried(ctx, cmd, 1, func(ctx context.Context) error {
		h, err := ask[control.Health](ctx, n, &control.Request{Verb: control.VerbHealth})
		if err == nil && !h.Ready {
			err = errors.New("it is not ready")
		}
		return err
	})
	if err != nil {
		log, _ := os.ReadFile(n.file("log"))
		return fmt.Errorf("node %s: %w\n%s", n.name, err, log[max(0, len(log)-2000):])
	}
	return nil
}

// ask asks a node by its control socket.
func ask[T any](ctx context.Context, n *node, r *control.Request) (answer T, err error) {
	err = control.Do(ctx, n.file("ctl"), r, func(_ string, data json.RawMessage) error { return json.Unmarshal(data, &answer) })
	return answer, err
}

func (n *node) cluster(ctx context.Context) (control.Cluster, error) {
	return ask[control.Cluster](ctx, n, &control.Request{Verb: control.VerbCluster})
}

func (n *node) stop() {
	if n != nil && n.proc != nil {
		n.proc.Stop()
		n.proc = nil
	}
}

// startNodes starts three nodes with a limit, in the place of those before, and
// waits until they know each other.
func (s *site) startNodes(ctx context.Context, perSource int) error {
	s.perSource = perSource
	for i, name := range nodeNames {
		s.nodes[i].stop()
		s.nodes[i] = &node{s: s, name: name}
		if err := s.nodes[i].start(ctx, s.host[name], true); err != nil {
			return err
		}
	}
	return s.together(ctx)
}

// together waits until all nodes know each other and the store answers.
func (s *site) together(ctx context.Context) error {
	return s.until(ctx, "the nodes know each other", func() bool { return s.knowEachOther(ctx) })
}

func (s *site) knowEachOther(ctx context.Context) bool {
	for _, n := range s.nodes {
		c, err := n.cluster(ctx)
		if err != nil || !c.StoreUp || c.Epoch == 0 || len(c.Nodes) != len(s.nodes) {
			return false
		}
		for _, o := range c.Nodes {
			if o.State != control.NodeReady {
				return false
			}
		}
	}
	return true
}

// until polls ok.
func (s *site) until(ctx context.Context, what string, ok func() bool) error {
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s", patience, what)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *site) stop() {
	if s.haproxy != nil {
		s.haproxy.Stop()
	}
	for _, n := range s.nodes {
		n.stop()
	}
	if s.redis != nil {
		s.redis.Stop()
	}
}
