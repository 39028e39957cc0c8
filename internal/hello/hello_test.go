//go:build unix

package hello

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// whole is a TLS record of 8 bytes, of which only the header is looked at.
var whole = []byte{recordHandshake, 3, 1, 0, 3, 1, 2, 3}

var errFirst, errRest = errors.New("no first byte in time"), errors.New("no whole hello in time")

// A guest is a client whose hello is waited for.
type guest struct {
	id          uint64
	first, rest time.Duration
	cause       error
	begun       int // how often it was asked for the deadline of the rest
	heard       chan error
}

func newGuest(id uint64) *guest { return &guest{id: id, heard: make(chan error, 1)} }

func (g *guest) Most() int       { return Short }
func (g *guest) ID() uint64      { return g.id }
func (g *guest) Cause() error    { return g.cause }
func (g *guest) Heard(err error) { g.heard <- err }

func (g *guest) Deadline(begun bool, now time.Time) (time.Time, error) {
	if begun {
		g.begun++
	}
	switch {
	case begun && g.rest > 0:
		return now.Add(g.rest), errRest
	case !begun && g.first > 0:
		return now.Add(g.first), errFirst
	}
	return time.Time{}, nil
}

// An end is one of a connection over TCP or a UNIX socket.
type end interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

var networks = []string{"tcp", "unix"}

// pair returns both ends of a connection.
func pair(t testing.TB, network string) (server, client end) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); c.Close() })
	return s.(end), c.(end)
}

// The ways to wait: in a Room, or on a goroutine, over any network.
func waits(t *testing.T, f func(t *testing.T, network string, room bool, wait func(*guest, net.Conn))) {
	for _, network := range networks {
		t.Run(network+" goroutine", func(t *testing.T) {
			f(t, network, false, func(g *guest, nc net.Conn) { go func() { g.Heard(Await(g, nc)) }() })
		})
		t.Run(network+" room", func(t *testing.T) {
			r, err := NewRoom()
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip("a goroutine waits for each client here")
			}
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { defer close(ended); r.Run() }()
			f(t, network, true, func(g *guest, nc net.Conn) {
				if !r.Enter(g, nc, Peek(nc, Short)) {
					t.Error("the room takes nobody")
				}
			})
			r.Close()
			<-ended
		})
	}
}

// What ends a wait, and that nothing of the hello is taken.
func TestWait(t *testing.T) {
	waits(t, func(t *testing.T, network string, room bool, wait func(*guest, net.Conn)) {
		for i, tc := range []struct {
			name        string
			first, rest time.Duration
			sends       [][]byte
			leaves      bool
			want        error
		}{
			{"whole", time.Minute, time.Minute, [][]byte{whole}, false, nil},
			{"in two parts", 0, time.Minute, [][]byte{whole[:3], whole[3:]}, false, nil},
			{"slow", 0, 10 * time.Second, [][]byte{whole[:6]}, false, nil},
			{"byte by byte", 0, time.Minute, [][]byte{whole[:1], whole[1:2], whole[2:3], whole[3:4], whole[4:5], whole[5:6], whole[6:7], whole[7:]}, false, nil},
			{"no TLS", 0, 0, [][]byte{[]byte("GET")}, false, nil},
			{"left without a byte", time.Minute, 0, nil, true, ErrSilent},
			{"left in its hello", 0, time.Second, [][]byte{whole[:6]}, true, io.ErrUnexpectedEOF},
			{"silent", time.Millisecond, time.Minute, nil, false, errFirst},
			{"half", time.Minute, time.Millisecond, [][]byte{whole[:6]}, false, errRest},
		} {
			if tc.name == "slow" && network != "unix" {
				continue // over TCP the rest is waited for
			}
			t.Run(tc.name, func(t *testing.T) {
				server, client := pair(t, network)
				g := newGuest(uint64(i))
				g.first, g.rest = tc.first, tc.rest
				switch {
				case tc.name == "left in its hello" && network == "unix" && !room:
					tc.want = nil // the handshake sees to the rest
				case tc.want == io.ErrUnexpectedEOF && !room:
					tc.want = errRest // with bytes there the end cannot be seen
				}
				wait(g, server)
				var sent []byte
				for _, b := range tc.sends {
					client.Write(b)
					sent = append(sent, b...)
				}
				if tc.leaves {
					client.CloseWrite()
				}
				if err := <-g.heard; !errors.Is(err, tc.want) || tc.want == nil && err != nil {
					t.Fatalf("%v, want %v", err, tc.want)
				}
				if len(sent) > 0 {
					got := make([]byte, len(sent))
					server.SetReadDeadline(time.Now().Add(time.Minute))
					if _, err := io.ReadFull(server, got); err != nil || string(got) != string(sent) {
						t.Errorf("there is %q (%v), sent was %q", got, err, sent)
					}
				}
			})
		}
	})
}

func TestPeek(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) { peeks(t, network) })
	}
}

func peeks(t *testing.T, network string) {
	server, client := pair(t, network)
	if s := Peek(server, Short); s != Unseen || s.Begun() {
		t.Errorf("nothing sent: %+v", s)
	}
	if a, _ := net.Pipe(); Peek(a, Short) != Unseen {
		t.Error("a pipe can be looked into")
	}
	client.Write(whole[:6])
	server.SetReadDeadline(time.Now().Add(time.Minute))
	rc, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := rc.Read(func(fd uintptr) bool { return peekHello(int(fd), Short).Have == 6 }); err != nil {
		t.Fatal(err)
	}
	if s := Peek(server, Short); s.Err != nil || s.Missing != 8 || !s.Begun() {
		t.Errorf("a part: %+v", s)
	}
	if tc, ok := client.(*net.TCPConn); ok {
		tc.SetLinger(0)
	} else {
		server.Write([]byte("an end with bytes that nobody took is a reset"))
	}
	client.Close()
	var s State
	rc.Read(func(uintptr) bool { s = Peek(server, Short); return s.Err != nil })
	if s.Err == nil {
		t.Errorf("reset: %+v", s)
	}
}

// A hello that is whole when it is looked at has not begun before: its client
// gets no second deadline.
func TestAwaitWhole(t *testing.T) {
	server, client := pair(t, "tcp")
	client.Write(whole)
	rc, err := server.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := rc.Read(func(fd uintptr) bool { return peekHello(int(fd), Short).Have == int32(len(whole)) }); err != nil {
		t.Fatal(err)
	}
	g := newGuest(1)
	g.first = 10 * time.Second
	if err := Await(g, server); err != nil || g.begun != 0 {
		t.Errorf("%v, begun %d times", err, g.begun)
	}
}

// One who is taken out is not told anything any more; one who was cut before it
// came is told at once.
func TestLeave(t *testing.T) {
	r, err := NewRoom()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("there is no room here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	server, _ := pair(t, "tcp")
	g := newGuest(1)
	if !r.Enter(g, server, Unseen) || !r.Leave(1) || r.Leave(1) {
		t.Error("it was not there, or still is")
	}
	cut := newGuest(2)
	cut.cause = errors.New("cut")
	other, _ := pair(t, "tcp")
	if !r.Enter(cut, other, Unseen) || <-cut.heard != cut.cause || r.Leave(2) {
		t.Error("one that was cut waits")
	}
	if len(g.heard) > 0 {
		t.Error("one that left is told:", <-g.heard)
	}
	if a, _ := net.Pipe(); r.Enter(newGuest(3), a, Unseen) || (*Room)(nil).Enter(g, server, Unseen) {
		t.Error("taken in what cannot wait")
	}
}
