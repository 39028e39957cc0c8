package netserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/port"
)

// A story is what a client of some kind goes through.
type story struct {
	kind   string // tcp, ssl, starttls, udp, unix, parked (a tcp one that parks)
	header bool   // it begins with a PROXY header
	queue  bool   // handshakes take turns
	hooks  bool   // the program sees clients before their handshake
}

func (s story) String() string {
	name := s.kind
	for _, part := range []struct {
		on   bool
		name string
	}{{s.header, "header"}, {s.queue, "queue"}, {s.hooks, "hooks"}} {
		if part.on {
			name += "+" + part.name
		}
	}
	return name
}

// want returns the steps that doc.go's numbered list tells of.
func (s story) want() []string {
	before, handshake := "own", "own"
	if s.kind == "ssl" {
		handshake = "turn"
		switch {
		case s.queue && !s.header && !s.hooks:
			before = "accept loop"
		case !s.queue && !s.header:
			before = "turn"
		}
	}
	turns := s.kind == "ssl" && s.queue
	var steps []string
	add := func(on bool, stage, lane string) {
		if on {
			steps = append(steps, stage+": "+lane)
		}
	}
	add(turns && !s.header, "accept", "accept loop") // its place in the scheduler
	add(true, "accept", before)
	add(s.header, "header", before)
	add(true, "admit", before)
	add(turns && s.header, "handshake", before) // its place, under its own address
	add(turns, "handshake", "hello")
	add(true, "handshake", handshake)
	add(true, "access", "own")
	add(true, "handler", "own")
	add(s.kind == "parked", "handler", "woken")
	return steps
}

// A client of every kind passes through the stages in the order and on the
// goroutines that doc.go tells.
func TestStory(t *testing.T) {
	for _, kind := range []string{"tcp", "ssl", "starttls", "udp", "unix", "parked"} {
		for i := range 8 {
			s := story{kind: kind, header: i&1 > 0, queue: i&2 > 0, hooks: i&4 > 0}
			if kind == "udp" && s.header {
				continue // datagrams have none
			}
			t.Run(s.String(), s.follow)
		}
	}
}

// A tracer notes the steps of the one client.
type tracer struct {
	mu    sync.Mutex
	steps []string
	wrong []string // lanes that were not what they say
}

func (tr *tracer) note(id uint64, stage netserver.Stage, lane string) {
	buf := make([]byte, 64<<10)
	stack := string(buf[:runtime.Stack(buf, false)])
	where := "own"
	switch {
	case strings.Contains(stack, ".acceptLoop("):
		where = "accept loop"
	case strings.Contains(stack, "hello.(*Room).Run(") || strings.Contains(stack, ".awaitHello("):
		where = "hello"
	case strings.Contains(stack, "park.(*Crew"):
		where = "woken"
	case strings.Contains(stack, "netserver.(*Conn).turn("):
		where = "turn"
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.steps = append(tr.steps, fmt.Sprintf("%v: %s", stage, lane))
	if where != lane {
		tr.wrong = append(tr.wrong, fmt.Sprintf("client %d: %v: %s is really %s", id, stage, lane, where))
	}
}

func (s story) follow(t *testing.T) {
	var tr tracer
	srv := &netserver.Server{Handler: netserver.StartsTLS(netserver.HandlerFunc(s.serve)), Log: slog.New(slog.DiscardHandler)}
	srv.Config.Ports = []port.Spec{s.port(t)}
	if s.header {
		srv.Config.Proxy = proxyFrom(netserver.ProxyRequire, "127.0.0.1", "unix")
	}
	if !s.queue {
		srv.Config.Admission.NoQueue = true
	}
	if s.hooks {
		srv.Hooks.Accepted = func(ctx context.Context, _ *netserver.Conn) context.Context { return ctx }
	}
	ctx, stop := context.WithCancel(t.Context())
	ls, err := srv.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.ServeTraced(ctx, tr.note, ls...) }()
	s.talk(t, srv, ls[0].Addr())
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if want := s.want(); !slices.Equal(tr.steps, want) {
		t.Errorf("it went through\n%q, want\n%q", tr.steps, want)
	}
	for _, w := range tr.wrong {
		t.Error(w)
	}
}

func (s story) port(t *testing.T) port.Spec {
	p := port.Spec{Host: "127.0.0.1", Port: "0", Proto: s.kind, IPv: "4"}
	switch s.kind {
	case "unix":
		p = port.Spec{Host: "*", Port: filepath.Join(t.TempDir(), "s"), Proto: "unix", IPv: "*"}
	case "parked":
		p.Proto = "tcp"
	case "starttls":
		p.Proto, p.Params = "ssl", make(conf.Values)
		p.Params.Set("SSL_startHandshake", "0")
	}
	return p
}

// serve gives back the first byte; on a STARTTLS port under TLS.
func (s story) serve(ctx context.Context, c *netserver.Conn) error {
	if s.kind == "starttls" {
		if err := c.StartTLS(ctx); err != nil {
			return err
		}
	}
	b := make([]byte, 1)
	if s.kind == "parked" {
		return c.Park(netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
			if n, err := c.TryRead(b); n != 1 {
				return fmt.Errorf("woken with %d bytes, %w", n, err)
			}
			_, err := c.Write(b)
			return err
		}))
	}
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

// talk is one client. One with a hello sends it only when it is waited for, so
// that it is not there already when the connection is accepted.
func (s story) talk(t *testing.T, srv *netserver.Server, to net.Addr) {
	t.Helper()
	nc, err := net.Dial(to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	if s.header {
		io.WriteString(nc, proxyV1)
	}
	if s.kind == "ssl" {
		netservertest.Eventually(t, "the server waits for the hello", func() bool {
			list := srv.Monitor().Clients(0, 1)
			return len(list) == 1 && list[0].Stage == netserver.StageHandshake
		})
	}
	if s.kind == "ssl" || s.kind == "starttls" {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	b := []byte{1}
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, b); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}
