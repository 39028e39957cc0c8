package netservertest

import (
	"context"
	"net"
	"testing"
	"time"

	"netserver"
	"netserver/port"
	"netserver/proto"
)

// A TransportTest is what TestTransport needs to know.
type TransportTest struct {
	// Protocol makes the Transport under test. It is called several times.
	Protocol proto.Protocol
	// Port is what Protocol is called with. Without a Port it is a free one
	// on 127.0.0.1, or a path where the Transport wants that.
	Port port.Spec
	// Client makes of a fresh connection to the port what a client program
	// reads and writes: it shakes hands, for instance. It gives up when ctx
	// is done. Nil leaves the connection as it is.
	Client func(ctx context.Context, nc net.Conn) (net.Conn, error)
}

// TestTransport runs the cases that every Transport has to pass. Those of the
// built-in protocols run the same. For what may differ, it looks at what the
// Transport and its connections can do: whether Ready never waits
// (proto.Plain), whether a connection can be closed for writing alone, whether
// it can wait without a buffer (proto.Waiter). The test must not run in
// parallel with others: leaks are counted too.
func TestTransport(t *testing.T, tt TransportTest) {
	h := &transportHarness{TransportTest: tt}
	h.prepare(t)
	cases := streamCases
	if h.datagram {
		cases = datagramCases
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			CheckLeaks(t)
			h.open(t)
			c.run(t, h)
		})
	}
}

// A transportHarness has a listener and the Transport under test, but no
// engine: the cases look at what Ready alone does.
type transportHarness struct {
	TransportTest
	transport proto.Transport
	plain     bool // Ready never waits
	datagram  bool

	r *Running // for its listener and its sockets' directory; serves nothing
}

// prepare finds out what kind of Transport it is.
func (h *transportHarness) prepare(t *testing.T) {
	t.Helper()
	if h.Port.Proto == "" {
		h.Port.Proto = "under-test"
	}
	tr, err := h.Protocol(h.Port)
	if err != nil {
		t.Fatalf("Protocol: %v", err)
	}
	p, ok := tr.(proto.Plain)
	h.plain = ok && p.Plain()
	switch network := tr.Network(); network {
	case "udp", "unixgram":
		h.datagram = true
	case "tcp", "unix":
	default:
		t.Fatalf("Network is %q; want tcp, udp, unix or unixgram", network)
	}
}

// open makes a fresh Transport and a listener for it.
func (h *transportHarness) open(t *testing.T) {
	t.Helper()
	spec := h.Port
	h.r = &Running{ca: CA(t), dir: socketDir(t)}
	if spec.Port == "" {
		tr, err := h.Protocol(spec)
		if err != nil {
			t.Fatal(err)
		}
		free := h.r.spec(map[string]string{"unix": "unix", "unixgram": "unixdgram"}[tr.Network()])
		spec.Host, spec.Port, spec.IPv = free.Host, free.Port, free.IPv
	}
	s := &netserver.Server{Protocols: map[string]proto.Protocol{spec.Kind(): h.Protocol}}
	s.Config.Ports = []port.Spec{spec}
	ls, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range ls {
		t.Cleanup(func() { l.Close() })
	}
	h.r.ls = ls
	if h.transport, err = h.Protocol(spec); err != nil {
		t.Fatal(err)
	}
}

// connect returns both ends of a connection that nothing was done with. On
// datagram ports first is what the client sends to bring about the other end.
func (h *transportHarness) connect(t *testing.T, first string) (server, client net.Conn) {
	t.Helper()
	client, err := h.r.dial(t.Context(), h.r.ls[0].Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if h.datagram {
		if _, err := client.Write([]byte(first)); err != nil {
			t.Fatal(err)
		}
	}
	if d, ok := h.r.ls[0].(interface{ SetDeadline(time.Time) error }); ok {
		d.SetDeadline(time.Now().Add(patience(t)))
	}
	server, err = h.r.ls[0].Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	client.SetDeadline(time.Now().Add(patience(t)))
	return server, client
}

// A readied is what Ready returned.
type readied struct {
	nc  net.Conn
	err error
}

// ready calls Ready and waits for it, and fails the test if that takes too
// long.
func (h *transportHarness) ready(ctx context.Context, t *testing.T, raw net.Conn) readied {
	t.Helper()
	got := make(chan readied, 1)
	go h.callReady(ctx, raw, got)
	return await(t, raw, got)
}

func (h *transportHarness) callReady(ctx context.Context, raw net.Conn, got chan<- readied) {
	nc, err := h.transport.Ready(ctx, raw)
	got <- readied{nc, err}
}

func await(t *testing.T, raw net.Conn, got <-chan readied) readied {
	t.Helper()
	timer := time.NewTimer(patience(t))
	defer timer.Stop()
	select {
	case r := <-got:
		if r.err == nil {
			t.Cleanup(func() { r.nc.Close() })
		}
		return r
	case <-timer.C:
		raw.Close()
		t.Fatalf("Ready has not returned within %v", patience(t))
		panic("unreachable")
	}
}

// pair returns both ends of a connection that is ready for use, with a
// deadline.
func (h *transportHarness) pair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience(t))
	defer cancel() // what Ready was given may end; the connection may not
	raw, nc := h.connect(t, "")
	got := make(chan readied, 1)
	go h.callReady(ctx, raw, got)
	client, err := h.client(ctx, nc)
	r := await(t, raw, got)
	if r.err != nil || err != nil {
		t.Fatalf("Ready: %v; the client: %v", r.err, err)
	}
	r.nc.SetDeadline(time.Now().Add(patience(t)))
	client.SetDeadline(time.Now().Add(patience(t)))
	return r.nc, client
}

func (h *transportHarness) client(ctx context.Context, nc net.Conn) (net.Conn, error) {
	if h.Client == nil {
		return nc, nil
	}
	return h.Client(ctx, nc)
}
