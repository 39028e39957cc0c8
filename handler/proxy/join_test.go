package proxy_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"netserver"
)

func TestClientEndsFirst(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		f, c, b := pair(t, client, backend, netserver.Config{})
		send(t, c, "question")
		want(t, b, "question")
		must(t, c.CloseWrite())
		wantEOF(t, b)
		for range 3 { // the other direction goes on
			send(t, b, "answer")
			want(t, c, "answer")
		}
		must(t, b.CloseWrite())
		wantEOF(t, c)
		if r := f.record(t); r.Err != nil || r.In != 8 || r.Out != 18 {
			t.Errorf("record: in %d, out %d, %v", r.In, r.Out, r.Err)
		}
	})
}

func TestBackendEndsFirst(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		f, c, b := pair(t, client, backend, netserver.Config{})
		send(t, b, "greeting")
		want(t, c, "greeting")
		must(t, b.CloseWrite())
		wantEOF(t, c)
		for range 3 {
			send(t, c, "more")
			want(t, b, "more")
		}
		must(t, c.CloseWrite())
		wantEOF(t, b)
		if r := f.record(t); r.Err != nil || r.In != 12 || r.Out != 8 {
			t.Errorf("record: in %d, out %d, %v", r.In, r.Out, r.Err)
		}
	})
}

func TestBothEndAtOnce(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		f, c, b := pair(t, client, backend, netserver.Config{})
		must(t, c.CloseWrite())
		must(t, b.CloseWrite())
		wantEOF(t, b)
		wantEOF(t, c)
		if r := f.record(t); r.Err != nil {
			t.Errorf("record: %v", r.Err)
		}
	})
}

// A client that leaves without waiting for the answer, as most do, is an
// ordinary end for the backend.
func TestClientCloses(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		f, c, b := pair(t, client, backend, netserver.Config{})
		send(t, c, "bye")
		c.Close()
		want(t, b, "bye")
		wantEOF(t, b)
		b.Close()
		f.record(t)
	})
}

func TestBackendCloses(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		f, c, b := pair(t, client, backend, netserver.Config{})
		send(t, b, "bye")
		b.Close()
		want(t, c, "bye")
		wantEOF(t, c)
		c.Close()
		if r := f.record(t); r.Err != nil {
			t.Errorf("record: %v", r.Err)
		}
	})
}

// breakOff makes c end as a crashed peer's connection does.
func breakOff(t *testing.T, c net.Conn) {
	t.Helper()
	c = below(c)
	must(t, c.(*net.TCPConn).SetLinger(0))
	c.Close()
}

func TestClientReset(t *testing.T) {
	for _, client := range []string{"tcp", "tls"} {
		for _, backend := range []string{"tcp", "unix", "tls"} {
			t.Run(client+" to "+backend, func(t *testing.T) {
				f, c, b := pair(t, client, backend, netserver.Config{})
				send(t, c, "half a")
				want(t, b, "half a")
				breakOff(t, c)
				if backend != "unix" {
					wantBroken(t, b)
				} else {
					wantEOF(t, b) // a UNIX socket has no reset
				}
				if r := f.record(t); !errors.Is(r.Err, syscall.ECONNRESET) {
					t.Errorf("record: %v", r.Err)
				}
			})
		}
	}
}

func TestBackendReset(t *testing.T) {
	for _, client := range []string{"tcp", "tls", "unix"} {
		for _, backend := range []string{"tcp", "tls"} {
			t.Run(client+" to "+backend, func(t *testing.T) {
				f, c, b := pair(t, client, backend, netserver.Config{})
				send(t, b, "half a")
				want(t, c, "half a")
				breakOff(t, b)
				if client == "unix" {
					wantEOF(t, c)
				} else {
					wantBroken(t, c)
				}
				r := f.record(t)
				want := "proxy_to " + b.LocalAddr().String() + ": reading from it: connection reset by peer"
				if r.Err == nil || !strings.Contains(r.Err.Error(), want) {
					t.Errorf("record: %v", r.Err)
				}
			})
		}
	}
}

// The reset must come through while both directions are busy too, when either
// of them may be the one that the system tells of it.
func TestResetUnderLoad(t *testing.T) {
	for _, client := range []string{"tcp", "tls"} {
		for _, backend := range []string{"tcp", "tls"} {
			t.Run("backend "+backend+", client "+client, func(t *testing.T) {
				for range 30 {
					_, c, b := pair(t, client, backend, netserver.Config{})
					resetUnderLoad(t, b, c)
				}
			})
		}
	}
	t.Run("client", func(t *testing.T) {
		for range 30 {
			_, c, b := pair(t, "tcp", "tcp", netserver.Config{})
			resetUnderLoad(t, c, b)
		}
	})
}

// resetUnderLoad resets one side of a joint that is busy in both directions.
func resetUnderLoad(t *testing.T, from, to stream) {
	t.Helper()
	go io.Copy(from, zeros{})
	wrote := make(chan error, 1)
	go func() {
		_, err := io.Copy(to, zeros{})
		wrote <- err
	}()
	_, err := io.CopyN(io.Discard, from, 256<<10)
	must(t, err)
	_, err = io.CopyN(io.Discard, to, 256<<10)
	must(t, err)
	breakOff(t, from)
	_, rerr := io.Copy(io.Discard, to)
	// The system tells of a reset once: one of them has got it.
	if werr := <-wrote; !errors.Is(rerr, syscall.ECONNRESET) && !errors.Is(werr, syscall.ECONNRESET) {
		t.Fatalf("reading ended with %v and writing with %v; want a reset", rerr, werr)
	}
	to.Close()
}

// A TLS client that ends without close_notify has still said what it said.
func TestTruncatedTLSClient(t *testing.T) {
	f, c, b := pair(t, "tls", "tcp", netserver.Config{})
	send(t, c, "the last words")
	must(t, below(c).(*net.TCPConn).CloseWrite())
	want(t, b, "the last words")
	wantEOF(t, b)
	b.Close()
	f.record(t)
}

// A backend that answers and closes without reading all of the request must
// not cost the client the answer.
func TestAnswerBeforeRequestIsRead(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		_, c, b := pair(t, client, backend, netserver.Config{})
		go io.Copy(c, zeros{})
		want(t, b, "\x00\x00\x00\x00")
		send(t, b, "413 too large")
		must(t, b.CloseWrite())
		want(t, c, "413 too large")
		wantEOF(t, c)
		b.Close()
	})
}

// zeros is endless.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// A client that has ended its direction and then leaves altogether, with a
// backend that says nothing: only the socket can tell.
func TestSilentlyLeft(t *testing.T) {
	if !canWatch {
		t.Skip("this system does not tell")
	}
	t.Run("client", func(t *testing.T) {
		f, c, b := pair(t, "unix", "tcp", netserver.Config{})
		send(t, c, "fire and forget")
		c.Close()
		want(t, b, "fire and forget")
		if r := f.record(t); r.Err == nil || !strings.Contains(r.Err.Error(), "left") {
			t.Errorf("record: %v", r.Err)
		}
	})
	t.Run("client by reset", func(t *testing.T) {
		f, c, b := pair(t, "tcp", "tcp", netserver.Config{})
		must(t, c.CloseWrite())
		wantEOF(t, b)
		breakOff(t, c)
		f.record(t)
	})
	t.Run("backend", func(t *testing.T) {
		f, c, b := pair(t, "tcp", "unix", netserver.Config{})
		b.Close()
		wantEOF(t, c)
		if r := f.record(t); r.Err != nil {
			t.Errorf("record: %v", r.Err)
		}
	})
}

func TestCutEndsTheBackend(t *testing.T) {
	for _, client := range []string{"tcp", "tls", "unix"} {
		t.Run(client, func(t *testing.T) {
			f, c, b := pair(t, client, "tcp", netserver.Config{Shutdown: netserver.Shutdown{Grace: -1}})
			send(t, c, "x")
			want(t, b, "x")
			if err := f.stop(); !errors.Is(err, netserver.ErrCut) {
				t.Errorf("Serve: %v", err)
			}
			wantBroken(t, b)
			if r := f.record(t); !errors.Is(r.Err, netserver.ErrCut) {
				t.Errorf("record: %v", r.Err)
			}
		})
	}
}

// While the server drains, joints go on.
func TestDrain(t *testing.T) {
	f, c, b := pair(t, "tls", "tcp", netserver.Config{})
	stopped := make(chan error, 1)
	go func() { stopped <- f.stop() }()
	for { // until it takes no clients any more
		nc, err := net.Dial("tcp", f.addr.String())
		if err != nil {
			break
		}
		breakOff(t, nc) // in mid-handshake, so that it gets no backend
	}
	send(t, c, "still here")
	want(t, b, "still here")
	must(t, c.CloseWrite())
	wantEOF(t, b)
	b.Close()
	must(t, <-stopped)
}
