package netservertest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver"
)

// A HandlerTest is what TestHandler needs to know.
type HandlerTest struct {
	// New makes the Handler under test. It is called for each server, and
	// may clean up with t.Cleanup.
	New func(t *testing.T) netserver.Handler
	// Protos are the protocols to serve; default Protos().
	Protos []string
	// Config is the servers' configuration, without ports.
	Config netserver.Config
	// Talk is what a client of the Handler does when all is well. It returns
	// an error if the answers are not as they should be. c has a deadline; on
	// datagram ports each Write is a datagram and each Read an answer. Nil
	// leaves the cases out that need it.
	Talk func(proto string, c net.Conn) error
}

// TestHandler runs the cases that every Handler has to pass, over each
// protocol: its own conversation, alone and many times at once, and clients
// that leave, reset, stall, never read or send garbage. Whatever they do, the
// Handler must return, must not panic and must leave nothing behind. The test
// must not run in parallel with others: leaks are counted too.
func TestHandler(t *testing.T, ht HandlerTest) {
	if ht.Protos == nil {
		ht.Protos = Protos()
	}
	for _, name := range ht.Protos {
		cases := streamAbuse
		if name == "udp" || name == "unixdgram" {
			cases = datagramAbuse
		}
		t.Run(name, func(t *testing.T) {
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					CheckLeaks(t)
					ht.run(t, name, c)
				})
			}
		})
	}
}

// run starts a server for one case, and looks at what is left of its clients.
func (ht *HandlerTest) run(t *testing.T, name string, c handlerCase) {
	if c.needsTalk && ht.Talk == nil {
		t.Skip("HandlerTest has no Talk")
	}
	s := &netserver.Server{Handler: ht.New(t), Config: ht.Config}
	s.Config.Ports = nil
	if c.cut {
		s.Config.Shutdown.Grace = -1
	}
	h := &handlerHarness{HandlerTest: ht, proto: name, r: Start(t, s, name)}
	clients := c.run(t, h)
	h.r.Accepted(t, clients)
	err := h.r.Stop(t)
	switch {
	case err != nil && !(c.cut && errors.Is(err, netserver.ErrCut)):
		t.Errorf("Serve: %v", err)
	case err != nil && strings.Contains(err.Error(), "have not returned"):
		t.Errorf("Serve: %v: the Handler must return when ctx ends and its connection is closed", err)
	}
	for _, rec := range h.r.Records(t, clients) {
		var p *netserver.PanicError
		if errors.As(rec.Err, &p) {
			t.Errorf("the Handler panicked: %v\n%s", p.Value, p.Stack)
		}
		if c.mustServe && rec.Err != nil {
			t.Errorf("a client that did nothing wrong: %v", rec.Err)
		}
	}
}

type handlerHarness struct {
	*HandlerTest
	proto string
	r     *Running
}

// A handlerCase is something that clients do.
type handlerCase struct {
	name      string
	run       func(*testing.T, *handlerHarness) (clients int) // of which there must be records
	needsTalk bool
	mustServe bool // no client may end with an error
	cut       bool // the server cuts who is still there
}

var streamAbuse = []handlerCase{
	{name: "Talk", run: talkOnce, needsTalk: true, mustServe: true},
	{name: "ManyTalk", run: talkMany, needsTalk: true, mustServe: true},
	{name: "LeavesAtOnce", run: leavesAtOnce},
	{name: "Resets", run: resets},
	{name: "SilentUntilCut", run: silentUntilCut, cut: true},
	{name: "NeverReads", run: neverReads, cut: true},
	{name: "EndlessLine", run: endlessLine, cut: true},
	{name: "SendsGarbage", run: sendsGarbage, cut: true},
	{name: "LeavesWhileDraining", run: leavesWhileDraining},
}

var datagramAbuse = []handlerCase{
	{name: "Talk", run: talkOnce, needsTalk: true, mustServe: true},
	{name: "ManyTalk", run: talkMany, needsTalk: true, mustServe: true},
	{name: "OddDatagrams", run: oddDatagrams},
	{name: "LeavesAtOnce", run: leavesAfterDatagram},
}

func talkOnce(t *testing.T, h *handlerHarness) int {
	c := h.r.Dial(t, h.proto)
	if err := h.Talk(h.proto, c); err != nil {
		t.Error(err)
	}
	c.Close()
	return 1
}

func talkMany(t *testing.T, h *handlerHarness) int {
	const clients = 24
	var wg sync.WaitGroup
	for i := range clients {
		c := h.r.Dial(t, h.proto)
		wg.Go(func() {
			defer c.Close()
			if err := h.Talk(h.proto, c); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	return clients
}

func leavesAtOnce(t *testing.T, h *handlerHarness) int {
	for range 5 {
		h.r.Dial(t, h.proto).Close()
	}
	h.r.DialRaw(t, h.proto).Close() // without a handshake
	return 6
}

// resets ends connections the hard way, some with bytes on their way to them.
func resets(t *testing.T, h *handlerHarness) int {
	for i := range 6 {
		c := h.r.Dial(t, h.proto)
		h.r.Accepted(t, i+1) // some systems never show a client that left before
		if i%2 == 1 {
			fmt.Fprintf(c, "hello\r\n\r\n")
		}
		raw := c
		if u, ok := raw.(*tls.Conn); ok {
			raw = u.NetConn()
		}
		if tcp, ok := raw.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		raw.Close()
	}
	return 6
}

func silentUntilCut(t *testing.T, h *handlerHarness) int {
	h.r.Dial(t, h.proto)
	return 1
}

// neverReads sends until the server takes nothing more, and reads nothing of
// what comes back.
func neverReads(t *testing.T, h *handlerHarness) int {
	c := h.r.Dial(t, h.proto)
	c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	line := []byte(strings.Repeat("all work and no play\r\n", 1000))
	for range 500 {
		if _, err := c.Write(line); err != nil {
			break
		}
	}
	return 1
}

func endlessLine(t *testing.T, h *handlerHarness) int {
	c := h.r.Dial(t, h.proto)
	go drain(c)
	c.SetWriteDeadline(time.Now().Add(time.Second))
	part := []byte(strings.Repeat("x", 64<<10))
	for range 64 {
		if _, err := c.Write(part); err != nil {
			break
		}
	}
	c.Close()
	return 1
}

func sendsGarbage(t *testing.T, h *handlerHarness) int {
	for seed := range uint64(4) {
		c := h.r.Dial(t, h.proto)
		go drain(c)
		c.SetWriteDeadline(time.Now().Add(time.Second))
		c.Write(randomBytes(seed, 20_000))
		c.Close()
	}
	return 4
}

// drain reads until c is closed.
func drain(c net.Conn) {
	b := make([]byte, 4096)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

func leavesWhileDraining(t *testing.T, h *handlerHarness) int {
	c := h.r.Dial(t, h.proto)
	h.r.Accepted(t, 1)
	h.r.Drain()
	c.Close()
	return 1
}

// oddDatagrams sends the smallest and the largest, and all kinds of bytes. The
// largest may be over the server's limit, and then no client comes of it.
func oddDatagrams(t *testing.T, h *handlerHarness) int {
	c := h.r.Dial(t, h.proto)
	clients := 0
	for _, b := range [][]byte{{}, {0}, []byte("\n"), []byte("\r\n\r\n"), randomBytes(1, 1000), randomBytes(2, 4000)} {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
		clients++
		h.r.Records(t, clients) // one after the other: the socket's buffer may be small
	}
	c.Write(randomBytes(3, 65507)) // the largest that UDP over IPv4 can carry
	return clients
}

// leavesAfterDatagram asks and is gone before the answer comes.
func leavesAfterDatagram(t *testing.T, h *handlerHarness) int {
	const clients = 10
	for i := range clients {
		c := h.r.Dial(t, h.proto)
		if _, err := c.Write([]byte("hello\n")); err != nil {
			t.Fatal(err)
		}
		c.Close()
		h.r.Records(t, i+1)
	}
	return clients
}

// EachProto runs f once for each of the protocols, or of Protos if none are
// given, as subtests with their names.
func EachProto(t *testing.T, f func(t *testing.T, proto string), protos ...string) {
	t.Helper()
	if len(protos) == 0 {
		protos = Protos()
	}
	for _, p := range slices.Clone(protos) {
		t.Run(p, func(t *testing.T) { f(t, p) })
	}
}

// Always returns a HandlerTest.New that gives h each time.
func Always(h netserver.Handler) func(*testing.T) netserver.Handler {
	return func(*testing.T) netserver.Handler { return h }
}
