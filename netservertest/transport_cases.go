package netservertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"netserver/proto"
)

// A transportCase is one thing that every Transport must do.
type transportCase struct {
	name string
	run  func(*testing.T, *transportHarness)
}

var streamCases = []transportCase{
	{"BytesBothWays", bytesBothWays},
	{"ManyAtOnce", manyAtOnce},
	{"EarlyBytesArrive", earlyBytesArrive},
	{"HalfCloseByServer", halfCloseByServer},
	{"HalfCloseByClient", halfCloseByClient},
	{"DeadlinePassesAndIsLifted", deadlinePasses},
	{"CloseEndsARead", closeEndsARead},
	{"WaitsWithoutReading", waitsWithoutReading},
	{"AddressesStay", addressesStay},
	{"SilentClient", silentClient},
	{"StalledHandshake", stalledHandshake},
	{"ClientLeavesAtOnce", clientLeaves},
	{"Garbage", garbage},
	{"ContextIsDoneAlready", contextIsDone},
}

var datagramCases = []transportCase{
	{"DatagramAndAnswer", datagramAndAnswer},
	{"ManyDatagrams", manyDatagrams},
	{"EmptyDatagram", emptyDatagram},
}

// randomBytes returns the same n bytes for the same seed.
func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	src.Read(b)
	return b
}

// exchange sends bytes from a to b and from b to a at the same time, and
// checks what arrives.
func exchange(a, b net.Conn, size int) error {
	there, back := randomBytes(1, size), randomBytes(2, size)
	errs := make(chan error, 4)
	go send(a, there, errs)
	go send(b, back, errs)
	go receive(b, there, errs)
	go receive(a, back, errs)
	return errors.Join(<-errs, <-errs, <-errs, <-errs)
}

func send(c net.Conn, b []byte, errs chan<- error) {
	_, err := c.Write(b)
	errs <- err
}

func receive(c net.Conn, want []byte, errs chan<- error) {
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%d bytes arrived, but not those that were sent", n)
	}
	errs <- err
}

func bytesBothWays(t *testing.T, h *transportHarness) {
	server, client := h.pair(t)
	if err := exchange(server, client, 1<<20); err != nil {
		t.Error(err)
	}
}

// One Transport serves all clients of its port.
func manyAtOnce(t *testing.T, h *transportHarness) {
	const clients = 16
	var wg sync.WaitGroup
	for i := range clients {
		raw, nc := h.connect(t, "")
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience(t))
			defer cancel()
			got := make(chan readied, 1)
			go h.callReady(ctx, raw, got)
			client, err := h.client(ctx, nc)
			r := <-got
			if r.err != nil || err != nil {
				t.Errorf("client %d: Ready: %v; the client: %v", i, r.err, err)
				return
			}
			defer r.nc.Close()
			r.nc.SetDeadline(time.Now().Add(patience(t)))
			if err := exchange(r.nc, client, 10_000+i); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// What a client sends with the end of its handshake, or before anybody asks,
// must not get lost in a buffer of Ready's.
func earlyBytesArrive(t *testing.T, h *transportHarness) {
	raw, nc := h.connect(t, "")
	sent := make(chan error, 1)
	go func() {
		client, err := h.client(t.Context(), nc)
		if err == nil {
			_, err = client.Write([]byte("early"))
		}
		sent <- err
	}()
	if h.plain {
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		sent <- nil
	}
	r := h.ready(t.Context(), t, raw)
	if err := <-sent; err != nil || r.err != nil {
		t.Fatalf("Ready: %v; the client: %v", r.err, err)
	}
	r.nc.SetDeadline(time.Now().Add(patience(t)))
	b := make([]byte, 5)
	if n, err := io.ReadFull(r.nc, b); string(b[:n]) != "early" {
		t.Errorf("got %q, %v", b[:n], err)
	}
}

type writeCloser interface{ CloseWrite() error }

func halfCloseByServer(t *testing.T, h *transportHarness) {
	server, client := h.pair(t)
	w, ok := server.(writeCloser)
	if !ok {
		t.Skip("its connections cannot be closed for writing alone")
	}
	io.WriteString(server, "bye")
	if err := w.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(client); string(b) != "bye" || err != nil {
		t.Fatalf("the client got %q, %v", b, err)
	}
	if _, err := io.WriteString(client, "still here"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if n, err := io.ReadFull(server, b); string(b[:n]) != "still here" {
		t.Errorf("after its own end the server got %q, %v", b[:n], err)
	}
}

func halfCloseByClient(t *testing.T, h *transportHarness) {
	server, client := h.pair(t)
	w, ok := client.(writeCloser)
	if !ok {
		t.Skip("the client's connection cannot be closed for writing alone")
	}
	io.WriteString(client, "question")
	if err := w.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(server); string(b) != "question" || err != nil {
		t.Fatalf("the server got %q, %v", b, err)
	}
	if _, err := io.WriteString(server, "answer"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 6)
	if n, err := io.ReadFull(client, b); string(b[:n]) != "answer" {
		t.Errorf("after its own end the client got %q, %v", b[:n], err)
	}
}

// The engine sets deadlines of its own and goes on after those that came early.
func deadlinePasses(t *testing.T, h *transportHarness) {
	server, client := h.pair(t)
	b := make([]byte, 5)
	for range 2 {
		server.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		n, err := server.Read(b)
		var ne net.Error
		if n != 0 || !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("a Read past its deadline: %d bytes, %v; want a timeout", n, err)
		}
	}
	server.SetReadDeadline(time.Now().Add(patience(t)))
	if _, err := io.WriteString(client, "hello"); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(server, b); string(b[:n]) != "hello" {
		t.Errorf("after the deadline was lifted: %q, %v", b[:n], err)
	}
}

func closeEndsARead(t *testing.T, h *transportHarness) {
	server, _ := h.pair(t)
	ended := make(chan error, 1)
	go func() {
		_, err := server.Read(make([]byte, 1))
		ended <- err
	}()
	server.Close()
	if err := <-ended; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a Read of a closed connection: %v", err)
	}
}

func waitsWithoutReading(t *testing.T, h *transportHarness) {
	server, client := h.pair(t)
	w, ok := server.(proto.Waiter)
	if !ok {
		t.Skip("its connections cannot wait without reading")
	}
	server.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	var ne net.Error
	if err := w.WaitRead(); !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("WaitRead with nothing to read: %v; want a timeout", err)
	}
	server.SetReadDeadline(time.Now().Add(patience(t)))
	if _, err := io.WriteString(client, "hello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	for _, want := range "hello" { // the rest may sit above the socket
		if err := w.WaitRead(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(server, b); b[0] != byte(want) || err != nil {
			t.Fatalf("got %q, %v; want %q", b, err, want)
		}
	}
	server.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
	if err := w.WaitRead(); err == nil {
		// Allowed: a Read may still have to wait, but it must do so in time.
		if _, err := server.Read(b); !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("Read with nothing left: %v; want a timeout", err)
		}
	}
	server.SetReadDeadline(time.Now().Add(patience(t)))
	client.Close()
	if err := w.WaitRead(); err != nil {
		t.Errorf("WaitRead at the end: %v; that is for Read to tell", err)
	}
	if _, err := server.Read(b); err == nil {
		t.Error("Read at the end: no error")
	}
}

func addressesStay(t *testing.T, h *transportHarness) {
	raw, nc := h.connect(t, "")
	go h.client(t.Context(), nc)
	r := h.ready(t.Context(), t, raw)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if l := r.nc.LocalAddr(); l == nil || l.Network() == "" {
		t.Errorf("LocalAddr is %v", l)
	}
	if a := r.nc.RemoteAddr(); a == nil || a.Network() == "" {
		t.Errorf("RemoteAddr is %v", a)
	}
}

// stillOpen reports whether raw was left open: it is the engine's to close.
func stillOpen(t *testing.T, raw net.Conn) {
	t.Helper()
	if err := raw.SetDeadline(time.Now().Add(patience(t))); err != nil {
		t.Errorf("after it failed, Ready left the connection in the state %q; it must not close it", err)
	}
}

// A client that says nothing must cost no more than the time it is given.
func silentClient(t *testing.T, h *transportHarness) {
	raw, _ := h.connect(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := h.ready(ctx, t, raw)
	if h.plain {
		if r.err != nil {
			t.Errorf("Ready does not wait, but failed: %v", r.err)
		}
		return
	}
	if r.err == nil {
		t.Fatal("Ready did not wait for the client: then its Transport should say so (proto.Plain)")
	}
	stillOpen(t, raw)
}

// A stallConn sends only the first bytes that are written to it, and counts
// all of them.
type stallConn struct {
	net.Conn
	limit  int
	total  int
	writes []int // the length of each write
}

func (c *stallConn) Write(b []byte) (int, error) {
	n := min(max(c.limit-c.total, 0), len(b))
	c.total += len(b)
	c.writes = append(c.writes, len(b))
	if n > 0 {
		if _, err := c.Conn.Write(b[:n]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// A client that stops in the middle of its handshake.
func stalledHandshake(t *testing.T, h *transportHarness) {
	if h.plain {
		t.Skip("it has no handshake")
	}
	raw, nc := h.connect(t, "")
	whole := &stallConn{Conn: nc, limit: math.MaxInt}
	counted := make(chan error, 1)
	go func() {
		_, err := h.client(t.Context(), whole)
		counted <- err
	}()
	r := h.ready(t.Context(), t, raw)
	if err := <-counted; err != nil || r.err != nil {
		t.Fatalf("Ready: %v; the client: %v", r.err, err)
	}
	if len(whole.writes) == 0 {
		t.Skip("the client says nothing in its handshake")
	}
	first := whole.writes[0]
	for _, n := range []int{1, first / 2, first} {
		if n == 0 || n >= whole.total {
			continue
		}
		raw, nc := h.connect(t, "")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		clientDone := make(chan struct{})
		go func() {
			defer close(clientDone)
			h.client(ctx, &stallConn{Conn: nc, limit: n})
		}()
		r := h.ready(ctx, t, raw)
		if r.err == nil {
			t.Errorf("Ready succeeded with a client that stopped after %d bytes of %d", n, whole.total)
		} else {
			stillOpen(t, raw)
		}
		cancel()
		nc.Close()
		<-clientDone
	}
}

// endsSoon reads what a client left behind, which must come to an end.
func endsSoon(t *testing.T, r readied) {
	t.Helper()
	if r.err != nil {
		return
	}
	r.nc.SetDeadline(time.Now().Add(patience(t)))
	if _, err := io.Copy(io.Discard, r.nc); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the client has left, but Read waits for it")
	}
}

func clientLeaves(t *testing.T, h *transportHarness) {
	raw, nc := h.connect(t, "")
	nc.Close()
	endsSoon(t, h.ready(t.Context(), t, raw))
}

func garbage(t *testing.T, h *transportHarness) {
	for seed := range uint64(8) {
		raw, nc := h.connect(t, "")
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			nc.Write(randomBytes(seed, 20_000))
			nc.Close()
		}()
		r := h.ready(t.Context(), t, raw)
		endsSoon(t, r)
		raw.Close()
		<-wrote
	}
}

func contextIsDone(t *testing.T, h *transportHarness) {
	if h.plain {
		t.Skip("it does not wait")
	}
	raw, _ := h.connect(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := h.ready(ctx, t, raw); r.err == nil {
		t.Error("Ready succeeded without waiting for the client")
	}
	stillOpen(t, raw)
}
