//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/netservertest"
)

// A bystander is a client that was there before the trouble and must not feel
// it, on each of the server's stream ports.
type bystander struct{ *speaker }

func bystand(t *testing.T, c net.Conn) bystander {
	t.Helper()
	b := bystander{newSpeaker(t, c)}
	b.hears("Welcome to")
	return b
}

// goesOn has a conversation, also with a client that comes new.
func (b bystander) goesOn(what string) {
	b.t.Helper()
	b.says("%s\n", what)
	b.hears(fmt.Sprintf("You said %q", what))
}

func TestPlainHTTPToTLSPort(t *testing.T) {
	s := echoServer(t, "ssl")
	b := bystand(t, dialTLS(t, s.addr(0)))
	c := newSpeaker(t, dial(t, "tcp", s.addr(0)))
	c.says("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	c.ends()
	s.awaitLog(`failed client=2 port=\S+/ssl peer=127\.0\.0\.1:\d+ stage=handshake .*err="?.*(not look like a TLS handshake|HTTP)`)
	b.goesOn("after HTTP")

	p := run(t, "curl", "-sS", "http://"+s.addr(0)+"/")
	if p.wait() == 0 {
		t.Errorf("curl is content: %s", &p.out)
	}
	b.goesOn("after curl")
	s.stop()
}

func TestGarbage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := start(t, "--host", "127.0.0.1", "--port", "0/ssl", "--port", "0/tcp", "--port", "0/udp", "--port", path+"|unix")
	s.awaitUnix(path)
	b := bystand(t, dialTLS(t, s.addr(0)))
	garbage := make([]byte, 8<<10)
	rand.Read(garbage)
	garbage = append(garbage, "\nquit\n"...)
	for _, to := range []struct{ network, address string }{{"tcp", s.addr(0)}, {"tcp", s.addr(1)}, {"unix", path}} {
		c := dial(t, to.network, to.address)
		c.Write(garbage) // a TLS port may close before it has all
		newSpeaker(t, c).ends()
	}
	c := dialTLS(t, s.addr(0))
	c.Write(garbage)
	newSpeaker(t, c).ends()

	hello := clientHello(t)
	for i := 1; i < len(hello); i += len(hello)/7 + 1 { // a good beginning
		c := dial(t, "tcp", s.addr(0))
		c.Write(append(hello[:i:i], garbage...))
		newSpeaker(t, c).ends()
	}
	u := dial(t, "udp", s.addr(2))
	garbage[3999] = 'x' // the echo leaves the end of a line out
	u.Write(garbage[:4000])
	if got := make([]byte, 5000); !answered(t, u, got, 4000+len(`You said ""`)) {
		t.Error("a datagram of garbage is not echoed")
	}
	b.goesOn("after garbage")
	s.stop()
}

// answered reads one datagram and reports whether it has n bytes.
func answered(t *testing.T, c net.Conn, b []byte, n int) bool {
	t.Helper()
	got, err := c.Read(b)
	if err != nil {
		t.Errorf("no answer: %v", err)
	}
	return got == n
}

// clientHello returns the first bytes that a TLS client sends.
func clientHello(t *testing.T) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, &tls.Config{InsecureSkipVerify: true}).Handshake()
		client.Close()
	}()
	b := make([]byte, 16<<10)
	server.SetDeadline(time.Now().Add(patience))
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// stallingConn lets a TLS client send n bytes and then nothing.
type stallingConn struct {
	net.Conn
	left int
}

func (c *stallingConn) Write(b []byte) (int, error) {
	if c.left < len(b) {
		n, _ := c.Conn.Write(b[:c.left])
		c.left = 0
		return n, errors.New("stalled")
	}
	c.left -= len(b)
	return c.Conn.Write(b)
}

// A client may stall before its first byte, within its ClientHello, after it
// (it never answers the server's flight), within its last flight, before its
// first line, within a line, or after one. In none of them does it stay for
// ever, and nowhere does it keep another one out.
func TestStallsAtEveryStage(t *testing.T) {
	s := start(t, "--host", "127.0.0.1", "--port", "0/ssl", "--port", "0/tcp",
		"--timeout_handshake", "4", "--timeout_idle", "4") // the bystander speaks more often
	hello := clientHello(t)
	var stalled []*speaker
	raw := func(send []byte) {
		c := dial(t, "tcp", s.addr(0))
		c.Write(send)
		stalled = append(stalled, newSpeaker(t, c))
	}
	raw(nil)
	raw(hello[:1])
	raw(hello[:5])
	raw(hello[:len(hello)/2])
	raw(hello[:len(hello)-1])
	raw(hello)
	inLastFlight := dial(t, "tcp", s.addr(0))
	if err := tls.Client(&stallingConn{inLastFlight, len(hello) + 20}, &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
		t.Fatal("the handshake did not stall")
	}
	stalled = append(stalled, newSpeaker(t, inLastFlight))
	handshakes := len(stalled)

	stalled = append(stalled, newSpeaker(t, dialTLS(t, s.addr(0))), newSpeaker(t, dial(t, "tcp", s.addr(1))))
	for _, c := range []net.Conn{dialTLS(t, s.addr(0)), dial(t, "tcp", s.addr(1))} {
		c.Write([]byte("half a li"))
		stalled = append(stalled, newSpeaker(t, c))
	}
	for _, c := range []net.Conn{dialTLS(t, s.addr(0)), dial(t, "tcp", s.addr(1))} {
		c.Write([]byte("a line\n"))
		stalled = append(stalled, newSpeaker(t, c))
	}

	b := bystand(t, dialTLS(t, s.addr(0)))
	for _, c := range stalled { // the bystander is busy until the last is gone
		for ended := false; !ended; {
			select {
			case <-c.ended:
				ended = true
			case <-time.After(100 * time.Millisecond):
				b.goesOn("meanwhile")
				bystand(t, dialTLS(t, s.addr(0))).Close()
			}
		}
		c.ends()
	}
	s.awaitLogs(`failed .* stage=handshake .*err="handshake not finished in time \(4s\)"`, handshakes)
	s.awaitLogs(`failed .* stage=handler .*err="idle for too long"`, len(stalled)-handshakes)
	s.stop()
}

// drip sends one byte at a time, as slow attackers do: the handshake's
// deadline is absolute, so that does not help them.
func TestDrippingHandshakeIsCutOnTime(t *testing.T) {
	s := echoServer(t, "ssl", "--timeout_handshake", "1")
	hello := clientHello(t)
	c := dial(t, "tcp", s.addr(0))
	sp := newSpeaker(t, c)
	for i := range hello {
		if _, err := c.Write(hello[i : i+1]); err != nil {
			break
		}
		select {
		case <-sp.ended:
		case <-time.After(50 * time.Millisecond):
			continue
		}
		break
	}
	sp.ends()
	s.awaitLog(`err="handshake not finished in time \(1s\)"`)
	s.stop()
}

// A client that never reads is cut when it has taken nothing for
// timeout_write, and holds no more memory meanwhile than the kernel's buffers.
func TestClientThatNeverReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := start(t, "--host", "127.0.0.1", "--port", "0/tcp", "--port", "0/ssl", "--port", path+"|unix",
		"--echo", "raw", "--timeout_write", "1")
	s.awaitUnix(path)
	other := dialTLS(t, s.addr(1))
	before := s.peakMemory()
	var pouring sync.WaitGroup
	for _, c := range []net.Conn{dial(t, "tcp", s.addr(0)), dialTLS(t, s.addr(1)), dial(t, "unix", path)} {
		pouring.Go(func() {
			sent, err := pour(c, 1<<30)
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: it took %d bytes and went on: %v", c.LocalAddr().Network(), sent, err)
			}
		})
	}
	pouring.Wait()
	s.awaitLogs(`failed .* stage=handler .*err="client took no bytes for too long"`, 3)
	s.grewLittle(before)
	fmt.Fprint(other, "hello")
	if _, err := io.ReadFull(other, make([]byte, 5)); err != nil {
		t.Errorf("another client: %v", err)
	}
	s.stop()
}

// pour writes up to n bytes without a line's end.
func pour(c net.Conn, n int) (sent int, err error) {
	b := bytes.Repeat([]byte("x"), 256<<10)
	for sent < n && err == nil {
		var m int
		m, err = c.Write(b)
		sent += m
	}
	return sent, err
}

// A line of 1 GiB ends its client; it is not collected.
func TestEndlessLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := start(t, "--host", "127.0.0.1", "--port", "0/tcp", "--port", "0/ssl", "--port", path+"|unix")
	s.awaitUnix(path)
	b := bystand(t, dialTLS(t, s.addr(1)))
	before := s.peakMemory()
	for _, c := range []net.Conn{dial(t, "tcp", s.addr(0)), dialTLS(t, s.addr(1)), dial(t, "unix", path)} {
		sp := newSpeaker(t, c)
		if sent, err := pour(c, 1<<30); err == nil {
			t.Errorf("%s: all %d bytes were taken", c.LocalAddr().Network(), sent)
		}
		sp.ends()
	}
	s.awaitLogs(`failed .* stage=handler .*err="line too long: no end within 65536 bytes"`, 3)
	s.grewLittle(before)
	b.goesOn("after long lines")
	s.stop()
}

// The client of a line that is too long, but not endless, is told so.
func TestLongLine(t *testing.T) {
	s := echoServer(t, "tcp", "--max_line", "1000")
	c := newSpeaker(t, dial(t, "tcp", s.addr(0)))
	c.says("%s\n", strings.Repeat("x", 999))
	c.hears(`You said "x{999}"`)
	c.says("%s\n", strings.Repeat("y", 1000))
	if text := c.endsCleanly(); !strings.HasSuffix(text, "\r\nLine Too Long.\r\n") {
		t.Errorf("the client got %q", text)
	}
}

// 1 GiB without a line's end passes through the raw echo in bounded memory.
func TestGigabyteThrough(t *testing.T) {
	size := 1 << 30
	if raceEnabled || testing.Short() {
		size = 64 << 20
	}
	s := start(t, "--host", "127.0.0.1", "--port", "0/ssl", "--echo", "raw")
	c := dialTLS(t, s.addr(0))
	before := s.peakMemory()
	done := make(chan error, 1)
	go func() {
		_, err := pour(c, size)
		c.CloseWrite()
		done <- err
	}()
	n, err := io.Copy(io.Discard, c)
	if err := errors.Join(err, <-done); err != nil || n != int64(size) {
		t.Errorf("%d of %d bytes came back: %v", n, size, err)
	}
	s.grewLittle(before)
	s.stop()
}

func TestLargestAndEmptyDatagrams(t *testing.T) {
	dir := openDir(t)
	path := filepath.Join(dir, "s")
	s := start(t, "--host", "127.0.0.1", "--port", "0/udp", "--port", path+"|unixdgram", "--echo", "raw", "--udp_recv_len", "65507")
	s.awaitUnix(path)
	own := &net.UnixAddr{Name: filepath.Join(dir, "c"), Net: "unixgram"}
	unix, err := net.DialUnix("unixgram", own, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	if err := os.Chmod(own.Name, 0o777); err != nil { // root's server serves as nobody
		t.Fatal(err)
	}
	unix.SetDeadline(time.Now().Add(patience))
	for _, c := range []net.Conn{dial(t, "udp", s.addr(0)), unix} {
		for _, size := range []int{65507, 0, 1, 65506} {
			sent, got := make([]byte, size), make([]byte, 1<<17)
			rand.Read(sent)
			if _, err := c.Write(sent); err != nil {
				t.Fatalf("%s: %d bytes: %v", c.LocalAddr().Network(), size, err)
			}
			n, err := c.Read(got)
			if err != nil || !bytes.Equal(got[:n], sent) {
				t.Errorf("%s: %d bytes came back as %d: %v", c.LocalAddr().Network(), size, n, err)
			}
		}
	}
	s.stop()
}

func TestEmptyDatagramToTheLineEcho(t *testing.T) {
	s := echoServer(t, "udp")
	c := dial(t, "udp", s.addr(0))
	c.Write(nil)
	got := make([]byte, 100)
	if n, err := c.Read(got); err != nil || string(got[:n]) != `You said ""` {
		t.Errorf("got %q, %v", got[:n], err)
	}
}

// A datagram longer than udp_recv_len is logged and not served: the rest of it
// is lost, and half a message is worse than none.
func TestOversizeDatagram(t *testing.T) {
	s := echoServer(t, "udp", "--udp_recv_len", "100")
	c := dial(t, "udp", s.addr(0))
	for _, size := range []int{101, 5000, 100} {
		c.Write(bytes.Repeat([]byte("x"), size))
	}
	got := make([]byte, 9000)
	if !answered(t, c, got, 100+len(`You said ""`)) {
		t.Errorf("got %q", got)
	}
	const line = `(?m)^(\S+) datagram longer than udp_recv_len; not served .*peer=127\.0\.0\.1:\d+ size=`
	first := s.awaitLog(line + `101 "so far"=1`)[1]
	// Those that follow are counted, but one line a second is enough for a log.
	for sent := 2; ; sent++ {
		if m := regexp.MustCompile(line + `5000 "so far"=(\d+)`).FindStringSubmatch(s.log.String()); m != nil {
			if n, _ := strconv.Atoi(m[2]); n < 2 || n > sent || m[1] == first {
				t.Errorf("after %d oversize datagrams: %s", sent, m[0])
			}
			break
		}
		if sent > 6000 {
			t.Fatalf("%d oversize datagrams, and no line", sent)
		}
		c.Write(bytes.Repeat([]byte("x"), 5000))
		time.Sleep(10 * time.Millisecond)
	}
	s.stop()
}

// A program whose client takes nothing must not stay for ever.
func TestProgramWhoseClientNeverReads(t *testing.T) {
	for _, proto := range []string{"tcp", "ssl"} {
		t.Run(proto, func(t *testing.T) {
			netservertest.Peer(t, "sh")
			netservertest.Peer(t, "yes")
			s := start(t, "--host", "127.0.0.1", "--port", "0/"+proto, "--timeout_write", "1", "--log_level", "3", "--",
				"sh", "-c", `echo "pid $$"; exec yes "a line that nobody reads"`)
			var c net.Conn
			if proto == "ssl" {
				c = dialTLS(t, s.addr(0))
			} else {
				c = dial(t, "tcp", s.addr(0))
			}
			line, err := bufio.NewReaderSize(c, 16).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "pid ")))
			if err != nil {
				t.Fatal(err)
			}
			awaitGone(t, pid)
			s.awaitLog(`(left|failed) client=1 port=\S+/` + proto + ` .* pid=\d+`)
			s.stop()
		})
	}
}

func TestBackendIsDown(t *testing.T) {
	nowhere := "127.0.0.1:" + netservertest.FreePort(t)
	s := start(t, "--host", "127.0.0.1", "--port", "0/tcp", "--port", "0/ssl", "--proxy_to", nowhere)
	for i, c := range []net.Conn{dial(t, "tcp", s.addr(0)), dialTLS(t, s.addr(1))} {
		sp := newSpeaker(t, c)
		sp.Write([]byte("hello"))
		if text := sp.ends(); text != "" {
			t.Errorf("client %d got %q", i, text)
		}
	}
	s.awaitLogs(`failed .* stage=handler .*err="?proxy_to `+regexp.QuoteMeta(nowhere)+`: connection refused`, 2)
	s.stop()
}
