package echo_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/echo"
)

const className = "Net::Server::Fork"

// perlServer runs the original with an alarm of one second for its 30, and
// waits for it to listen. extra is added to its configuration. Its group is
// ended with the test; gone is closed when it has ended by itself.
func perlServer(t *testing.T, extra string) (addr net.Addr, gone <-chan struct{}) {
	t.Helper()
	if err := exec.Command("perl", "-MNet::Server::Fork", "-e", "1").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("perl with Net::Server: %v", err)
		}
		t.Skipf("perl with Net::Server: %v", err)
	}
	probe := listen(t, "tcp", "127.0.0.1:0")
	addr = probe.Addr()
	probe.Close()
	script := fmt.Sprintf(`BEGIN { *CORE::GLOBAL::alarm = sub (;$) { CORE::alarm($_[0] ? 1 : 0) } }
		use Net::Server::Fork;
		my %%more = (%s);
		Net::Server::Fork->run(host => '127.0.0.1', log_level => 0, port => [%d, @{$more{port} || []}])`,
		extra, addr.(*net.TCPAddr).Port)
	cmd := exec.Command("perl", "-e", script)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr.String())
		if err == nil {
			c.Close()
			return addr, ended
		}
		if time.Now().After(end) {
			t.Fatalf("perl does not listen: %v", err)
		}
	}
}

var pids = regexp.MustCompile(`\(\d+\)|:\d+: `)

// normal takes the process numbers out of a conversation.
func normal(s string) string {
	return pids.ReplaceAllStringFunc(s, func(m string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, m)
	})
}

func TestSameAsNetServer(t *testing.T) {
	perl, _ := perlServer(t, "")
	l := listen(t, "tcp", "127.0.0.1:0")
	serve(t, &echo.Handler{Name: className}, new(netserver.Server), l)
	for _, text := range []string{
		"", "\n", "\r\n", "\r", "\r\r\n", "a\rb\r\n", "\n\r\n", "x\r\n\r\ny\n\rz",
		"hello\n", "hello\r\n", "hello", "hello\r", "two\nlines\n", "  blanks \t \n",
		"\x00\x01\xff\xfe\n", "\xc3\xa9t\xc3\xa9\n", "\"quoted\"\n", "0\n", "0",
		strings.Repeat("long ", 5000) + "\n",
		"quit\nmore\n", "please quit now\nmore\n", "quit", "QUIT\nQuit\nexi\n", "quitexit\nmore\n",
		"exit quit\nmore\n", "get x and quit\nmore\n", "get quit\nmore\n",
		"get nothing\n", "get   nothing here\n", "get\tnothing\n", "get\vnothing\n", "get\x85nothing\n", "get\xa0nothing\n",
		"forget nothing\n", "getnothing\n", "get -x get y\n", "get get x\n", "get\n", "get \r\n", "get -\n",
		"get caf\xe9\n", "get a\x00b\n", "GET nothing\n", "get server_x_1-2\n", "get\r\nnothing\n",
		"get x exit\nstill\n", "get - quit\nmore\n",
	} {
		want, got := normal(talk(t, perl, text)), normal(talk(t, l.Addr(), text))
		if got != want {
			t.Errorf("to %q\ngot  %q\nwant %q", text, got, want)
		}
	}
}

func TestSameDatagramsAsNetServer(t *testing.T) {
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	perl := probe.LocalAddr()
	probe.Close()
	// The TCP port tells when it listens.
	perlServer(t, fmt.Sprintf("port => ['%d/udp']", perl.(*net.UDPAddr).Port))
	ours, _ := serveDatagrams(t, &echo.Handler{}, "udp")
	for _, text := range datagramTexts {
		want, got := ask(t, dialDatagrams(t, perl), text), ask(t, dialDatagrams(t, ours), text)
		if got != want {
			t.Errorf("to %q\ngot  %q\nwant %q", text, got, want)
		}
	}
}

func TestSamePropertiesAsNetServer(t *testing.T) {
	perl, _ := perlServer(t, "")
	l := listen(t, "tcp", "127.0.0.1:0")
	serve(t, &echo.Handler{Name: className}, new(netserver.Server), l)
	ports := regexp.MustCompile(`port: \d+`)
	const text = "get peeraddr\nget peerport\nget sockaddr\nget sockport\nget peerhost\n"
	want := ports.ReplaceAllString(normal(talk(t, perl, text)), "port: N")
	got := ports.ReplaceAllString(normal(talk(t, l.Addr(), text)), "port: N")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSameTimeoutAsNetServer(t *testing.T) {
	perl, _ := perlServer(t, "")
	l := listen(t, "tcp", "127.0.0.1:0")
	serve(t, &echo.Handler{Name: className, Timeout: time.Second}, new(netserver.Server), l)
	idle := func(a net.Addr, text string) string {
		c := dial(t, a)
		io.WriteString(c, text)
		b, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return normal(string(b))
	}
	for _, text := range []string{"", "one\nunfinished"} {
		if want, got := idle(perl, text), idle(l.Addr(), text); got != want {
			t.Errorf("to %q\ngot  %q\nwant %q", text, got, want)
		}
	}
}

func TestSameExitAsNetServer(t *testing.T) {
	perl, gone := perlServer(t, "")
	want := normal(talk(t, perl, "one\nplease exit\nmore\n"))
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Fatal("perl did not end")
	}

	l := listen(t, "tcp", "127.0.0.1:0")
	s := &netserver.Server{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.Handler = &echo.Handler{Name: className, Exit: cancel}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	other := dial(t, l.Addr())
	if line, err := bufio.NewReader(other).ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	if got := normal(talk(t, l.Addr(), "one\nplease exit\nmore\n")); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	other.Close()
	if err := <-done; err != nil && !errors.Is(err, netserver.ErrCut) {
		t.Errorf("Serve: %v", err)
	}
}
