package sock

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver/port"
)

// openUDP listens on address, and returns a client of it.
func openUDP(t testing.TB, o Options) (*DatagramListener, net.Conn) {
	t.Helper()
	l := open(t, "udp", spec("127.0.0.1", "0", "4"), o).(*DatagramListener)
	return l, dial(t, "udp", l.Addr().String())
}

func send(t testing.TB, c net.Conn, p string) {
	t.Helper()
	n, err := c.Write([]byte(p))
	if n != len(p) {
		t.Errorf("wrote %d of %d bytes", n, len(p))
	}
	must(t, err)
}

// receive returns the next packet that c gets.
func receive(t testing.TB, c net.Conn) string {
	t.Helper()
	buf := make([]byte, 1<<16)
	n, err := c.Read(buf)
	must(t, err)
	return string(buf[:n])
}

func acceptDatagram(t testing.TB, l net.Listener) *DatagramConn {
	t.Helper()
	return accept(t, l).(*DatagramConn)
}

func TestDatagramReadsAndAnswers(t *testing.T) {
	l, client := openUDP(t, Options{})
	send(t, client, "hello world")
	c := acceptDatagram(t, l)
	if !c.Datagram() {
		t.Error("not marked as a datagram")
	}
	if c.RemoteAddr().String() != client.LocalAddr().String() || c.LocalAddr().String() != l.Addr().String() {
		t.Errorf("from %v to %v", c.RemoteAddr(), c.LocalAddr())
	}
	short := make([]byte, 5)
	if n, err := c.Read(short); n != 5 || err != nil || string(short) != "hello" {
		t.Errorf("short read: %q, %v", short[:n], err)
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("empty read: %d, %v", n, err)
	}
	rest, err := io.ReadAll(c)
	if string(rest) != " world" || err != nil {
		t.Errorf("rest: %q, %v", rest, err)
	}
	if n, err := c.Read(short); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
	send(t, c, "one")
	send(t, c, "two")
	send(t, c, "")
	for _, want := range []string{"one", "two", ""} {
		if got := receive(t, client); got != want {
			t.Errorf("answer %q, want %q", got, want)
		}
	}
}

func TestDatagramEmpty(t *testing.T) {
	l, client := openUDP(t, Options{})
	send(t, client, "")
	c := acceptDatagram(t, l)
	if n, err := c.Read(make([]byte, 9)); n != 0 || err != io.EOF {
		t.Errorf("Read gave %d, %v", n, err)
	}
	if p := c.Packet(); p != nil {
		t.Errorf("Packet gave %q", p)
	}
	if n, err := io.Copy(c, c); n != 0 || err != nil {
		t.Errorf("Copy gave %d, %v", n, err)
	}
	if got := receive(t, client); got != "" {
		t.Errorf("answer %q", got)
	}
}

func TestDatagramLongestBothWays(t *testing.T) {
	l, client := openUDP(t, Options{UDPRecvLen: 65535})
	for _, n := range []int{1, 511, 512, 513, 4096, 65506, 65507} {
		want := string(bytes.Repeat([]byte{byte(n)}, n-1)) + "."
		send(t, client, want)
		c := acceptDatagram(t, l)
		if m, err := io.Copy(c, c); m != int64(n) || err != nil { // whole, by WriteTo
			t.Errorf("%d bytes: copied %d, %v", n, m, err)
		}
		if got := receive(t, client); got != want {
			t.Errorf("%d bytes came back as %d", n, len(got))
		}
	}
	send(t, client, "x")
	if _, err := acceptDatagram(t, l).Write(make([]byte, 65508)); err == nil {
		t.Error("an impossible packet was written")
	}
}

func TestDatagramOversizeIsCountedAndReported(t *testing.T) {
	l, client := openUDP(t, Options{UDPRecvLen: 10})
	var sizes []int
	var sender net.Addr
	l.OnOversize = func(from net.Addr, size int) { sizes, sender = append(sizes, size), from }
	for range 3 {
		send(t, client, "12345678901")
	}
	send(t, client, "1234567890")
	if got, _ := io.ReadAll(acceptDatagram(t, l)); string(got) != "1234567890" {
		t.Errorf("got %q", got)
	}
	if l.Oversize() != 3 {
		t.Errorf("counted %d", l.Oversize())
	}
	if len(sizes) != 1 || sizes[0] != 11 || sender.String() != client.LocalAddr().String() {
		t.Errorf("reported %v from %v", sizes, sender)
	}
	l.lastReport.Add(-int64(time.Second)) // a second later
	send(t, client, string(make([]byte, 65507)))
	send(t, client, "")
	acceptDatagram(t, l)
	if len(sizes) != 2 || sizes[1] != 65507 || l.Oversize() != 4 {
		t.Errorf("reported %v, counted %d", sizes, l.Oversize())
	}
}

func TestDatagramDefaultLimit(t *testing.T) {
	l, client := openUDP(t, Options{})
	send(t, client, string(make([]byte, 4097)))
	send(t, client, string(make([]byte, 4096)))
	if p := acceptDatagram(t, l).Packet(); len(p) != 4096 || l.Oversize() != 1 {
		t.Errorf("%d bytes served, %d dropped", len(p), l.Oversize())
	}
}

func TestDatagramPacketOutlivesClose(t *testing.T) {
	l, client := openUDP(t, Options{})
	send(t, client, "first packet")
	c := acceptDatagram(t, l)
	_, err := c.Read(make([]byte, 6))
	must(t, err)
	p := c.Packet()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read after Packet: %v", err)
	}
	must(t, c.Close())
	for range 10 {
		send(t, client, "SECOND PACKET")
		must(t, acceptDatagram(t, l).Close())
	}
	if string(p) != "packet" {
		t.Errorf("another client's data is in the packet: %q", p)
	}
}

func TestDatagramUseAfterClose(t *testing.T) {
	l, client := openUDP(t, Options{})
	send(t, client, "secret")
	c := acceptDatagram(t, l)
	must(t, c.Close())
	must(t, c.Close()) // does not give the buffer back twice
	_, rerr := c.Read(make([]byte, 9))
	_, werr := c.Write([]byte("x"))
	_, terr := c.WriteTo(io.Discard)
	for _, err := range []error{rerr, werr, terr, c.SetDeadline(time.Time{})} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
	}
	if c.Packet() != nil {
		t.Error("Packet after Close")
	}
	send(t, client, "a")
	send(t, client, "b")
	a, b := acceptDatagram(t, l), acceptDatagram(t, l)
	if pa, pb := string(a.Packet()), string(b.Packet()); pa != "a" || pb != "b" {
		t.Errorf("packets %q and %q: a buffer is in use twice", pa, pb)
	}
}

func TestDatagramDeadlines(t *testing.T) {
	l, client := openUDP(t, Options{})
	send(t, client, "x")
	c := acceptDatagram(t, l)
	must(t, c.SetDeadline(time.Unix(1, 0)))
	_, rerr := c.Read(make([]byte, 1))
	_, werr := c.Write([]byte("x"))
	for _, err := range []error{rerr, werr} {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
	must(t, c.SetDeadline(time.Time{}))
	send(t, c, "answer")
	if got := receive(t, client); got != "answer" {
		t.Errorf("got %q", got)
	}
}

// Clients that are being served can answer after the listener is closed; then
// the port is free.
func TestDatagramAnswersAfterListenerClose(t *testing.T) {
	l, client := openUDP(t, Options{})
	send(t, client, "x")
	c := acceptDatagram(t, l)
	must(t, l.Close())
	if err := l.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetDeadline after Close: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	send(t, c, "answer")
	if got := receive(t, client); got != "answer" {
		t.Errorf("got %q", got)
	}
	must(t, c.Close())
	open(t, "udp", spec("127.0.0.1", portOf(l), "4"), Options{})
}

// An answer to a port that is closed again makes the kernel report an ICMP
// error; the listener goes on.
func TestDatagramClientGone(t *testing.T) {
	l, client := openUDP(t, Options{})
	for range 3 {
		gone := dial(t, "udp", l.Addr().String())
		send(t, gone, "x")
		c := acceptDatagram(t, l)
		must(t, gone.Close())
		for range 3 {
			send(t, c, "nobody there")
		}
	}
	send(t, client, "still here")
	if p := acceptDatagram(t, l).Packet(); string(p) != "still here" {
		t.Errorf("got %q", p)
	}
}

// flaky is a socket whose reads fail some times first.
type flaky struct {
	packetSocket
	errs []error
}

func (f *flaky) receive(s *scratch) (int, error) {
	if len(f.errs) == 0 {
		return f.packetSocket.receive(s)
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return 0, err
}

func TestDatagramAcceptPassesOverClientErrors(t *testing.T) {
	l, client := openUDP(t, Options{})
	f := &flaky{packetSocket: l.sock, errs: []error{
		opError("read", l.Addr(), os.NewSyscallError("recvmsg", windowsConnReset)),
		opError("read", l.Addr(), os.NewSyscallError("recvmsg", syscall.ECONNREFUSED)),
	}}
	l.sock = f
	send(t, client, "x")
	acceptDatagram(t, l)
	broken := errors.New("broken")
	f.errs = []error{broken}
	if _, err := l.Accept(); err != broken {
		t.Errorf("got %v", err)
	}
	for range 2 * maxBadReads {
		f.errs = append(f.errs, syscall.ECONNREFUSED)
	}
	if _, err := l.Accept(); !errors.Is(err, syscall.ECONNREFUSED) || len(f.errs) != maxBadReads {
		t.Errorf("got %v with %d left: it should stop after %d", err, len(f.errs), maxBadReads)
	}
}

func TestDatagramConcurrentUse(t *testing.T) {
	l, client := openUDP(t, Options{})
	const n = 200
	var wg sync.WaitGroup
	for range 4 { // accepting from several goroutines
		wg.Go(func() { echoAll(l) })
	}
	for range n {
		send(t, client, "ping")
		if got := receive(t, client); got != "ping" {
			t.Fatalf("got %q", got)
		}
	}
	send(t, client, "x")
	must(t, l.Close())
	wg.Wait()
}

// echoAll answers each datagram of l, with writes from two goroutines at once.
func echoAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p := c.(*DatagramConn).Packet()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = c.Write(p) })
		wg.Go(func() { _ = c.SetDeadline(time.Now().Add(time.Minute)) })
		wg.Wait()
		wg.Go(func() { c.Close() })
		_, _ = c.Read(make([]byte, 1))
		c.Close()
		wg.Wait()
	}
}

func TestBufferClasses(t *testing.T) {
	var b buffers
	for _, n := range []int{1, 512, 513, 1024, 1025, 4096, 65535, 65536} {
		buf := b.get(n)
		if len(*buf) < n || len(*buf) > max(512, 2*n-1) {
			t.Errorf("%d bytes get a buffer of %d", n, len(*buf))
		}
		if bufferClass(len(*buf)) != bufferClass(n) {
			t.Errorf("the buffer for %d bytes goes back to another class", n)
		}
		b.put(buf)
	}
}

func TestOnce(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	l := Once(a)
	must(t, l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now()))
	if c, err := l.Accept(); c != a || err != nil {
		t.Fatalf("got %v, %v", c, err)
	}
	if c, err := l.Accept(); c != nil || err != io.EOF {
		t.Errorf("second Accept: %v, %v", c, err)
	}
	must(t, l.Close())
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	go a.Write([]byte("x")) // still open: it is the caller's
	if _, err := b.Read(make([]byte, 1)); err != nil {
		t.Errorf("the connection was closed: %v", err)
	}
	a.Close()
}

func TestOnceClosesWhatNobodyTook(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	must(t, Once(a).Close())
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestOnceSpec(t *testing.T) {
	l := open(t, "tcp", spec("127.0.0.1", "0", "4"), Options{})
	dial(t, "tcp", l.Addr().String())
	once := Once(accept(t, l))
	got := once.(specer).Spec()
	if want := spec("127.0.0.1", portOf(l), "4"); got.Host != want.Host || got.Port != want.Port || got.Proto != "tcp" || got.IPv != "4" {
		t.Errorf("got %+v", got)
	}
	must(t, once.Close())
	for _, tc := range []struct {
		addr net.Addr
		want port.Spec
	}{
		{&net.UnixAddr{Name: "/s", Net: "unix"}, port.Spec{Host: "*", Port: "/s", Proto: "unix", IPv: "*"}},
		{&net.UnixAddr{Name: "/s", Net: "unixgram"}, port.Spec{Host: "*", Port: "/s", Proto: "unixdgram", IPv: "*"}},
		{&net.UDPAddr{IP: net.IPv6loopback, Port: 5}, port.Spec{Host: "::1", Port: "5", Proto: "udp", IPv: "6"}},
	} {
		if got := specOf(tc.addr); got.Host != tc.want.Host || got.Port != tc.want.Port || got.Proto != tc.want.Proto || got.IPv != tc.want.IPv {
			t.Errorf("%v: %+v", tc.addr, got)
		}
	}
}

// A datagram that Accept has read when the listener is closed is not lost:
// whoever closed it has left the socket, and what is in it, to somebody else.
func TestCloseLosesNoDatagram(t *testing.T) {
	for range 200 {
		l, client := openUDP(t, Options{})
		other, err := File(l)
		must(t, err)
		accepted := make(chan net.Conn, 1)
		go func() {
			c, _ := l.Accept()
			accepted <- c
		}()
		go l.Close()
		send(t, client, "x")
		c := <-accepted
		if c != nil {
			send(t, c, "answer")
			if got := receive(t, client); got != "answer" {
				t.Errorf("answer %q", got)
			}
			c.Close()
		} else if next, err := FromFile(other, "udp", spec("127.0.0.1", "0", "4"), Options{}); err != nil {
			t.Fatal(err)
		} else {
			must(t, next.(*DatagramListener).SetDeadline(time.Now().Add(time.Minute)))
			if _, err := next.Accept(); err != nil {
				t.Error("the datagram was lost:", err)
			}
			next.Close()
		}
		other.Close()
		client.Close()
	}
}
