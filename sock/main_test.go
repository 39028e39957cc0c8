package sock

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"netserver/port"
)

// childListen makes the test binary listen on NETWORK,PORT and hold it until
// its standard input ends.
const childListen = "SOCK_TEST_LISTEN"

// childInherit makes the test binary take descriptor 3 as the listener of
// NETWORK,PORT and echo its first client.
const childInherit = "SOCK_TEST_INHERIT"

func TestMain(m *testing.M) {
	if at := os.Getenv(childInherit); at != "" {
		os.Exit(childEcho(at))
	}
	if at := os.Getenv(childListen); at != "" {
		os.Exit(childMain(at))
	}
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // starts the poller, whose descriptors stay
	}
	fds, goroutines := countFDs(), runtime.NumGoroutine()
	code := m.Run()
	if fuzz := flag.Lookup("test.fuzz"); fuzz != nil && fuzz.Value.String() != "" {
		os.Exit(code) // the fuzzing engine keeps goroutines of its own
	}
	if code == 0 && !settles(func() bool { return countFDs() <= fds && runtime.NumGoroutine() <= goroutines }) {
		fmt.Printf("FAIL: leak: descriptors %d before and %d after, goroutines %d and %d\n",
			fds, countFDs(), goroutines, runtime.NumGoroutine())
		_ = pprof.Lookup("goroutine").WriteTo(os.Stdout, 1)
		code = 1
	}
	os.Exit(code)
}

func childMain(at string) int {
	network, p, _ := strings.Cut(at, ",")
	l, err := Listen(context.Background(), network, port.Spec{Host: "127.0.0.1", Port: p, IPv: "4"}, Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready", l.(specer).Spec().Port)
	_, _ = io.Copy(io.Discard, os.Stdin)
	l.Close()
	return 0
}

// startChild runs childMain and returns the port that it listens on.
func startChild(t *testing.T, network, p string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childListen+"="+network+","+p)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	got, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		t.Fatalf("child: %s", line)
	}
	return got
}

// countFDs returns how many descriptors are open, or 0 where that is not known.
func countFDs() int {
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return 0
	}
	return len(names)
}

// settles waits up to half a minute for ok.
func settles(ok func() bool) bool {
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open listens until the end of the test.
func open(t testing.TB, network string, p port.Spec, o Options) net.Listener {
	t.Helper()
	l, err := Listen(t.Context(), network, p, o)
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

// accept takes the next connection of l, for the length of the test.
func accept(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	must(t, l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(time.Minute)))
	c, err := l.Accept()
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// dial connects for the length of the test.
func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(network, address, time.Minute)
	must(t, err)
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	t.Cleanup(func() { c.Close() })
	return c
}

func spec(host, p, ipv string) port.Spec {
	return port.Spec{Host: host, Port: p, Proto: "tcp", IPv: ipv}
}

func portOf(l net.Listener) string { return l.(specer).Spec().Port }

// needIPv6 skips the test on a machine without ::1.
func needIPv6(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp6", "[::1]:0")
	if err == nil {
		l.Close()
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("no IPv6 here: %v", err)
	}
	t.Skipf("no IPv6 here: %v", err)
}

// needPeer skips the test where a program is missing.
func needPeer(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// wantError checks that err is there, contains each text and is one line.
func wantError(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has several lines: %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q lacks %q", err, text)
		}
	}
}

type unlinker interface{ SetUnlinkOnClose(bool) }

func readOne(c net.Conn, b []byte) error {
	_, err := io.ReadFull(c, b)
	return err
}

func childEcho(at string) int {
	if err := tryChildEcho(at); err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		return 1
	}
	return 0
}

func tryChildEcho(at string) error {
	network, p, _ := strings.Cut(at, ",")
	l, err := FromFile(os.NewFile(3, "inherited"), network, port.Spec{Host: "*", Port: p, IPv: "4"}, Options{})
	if err != nil {
		return err
	}
	if u, ok := l.(unlinker); ok {
		u.SetUnlinkOnClose(true)
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	if err := readOne(c, b); err != nil {
		return err
	}
	if _, err := c.Write(b); err != nil {
		return err
	}
	c.Close()
	return l.Close()
}
