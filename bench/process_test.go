package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/port"
	"netserver/tlsparams"
)

// serverEnv names the kind of server that this test binary is to be, when it
// starts itself again. Servers are processes of their own so that their CPU
// can be told from the load's.
const serverEnv = "NETSERVER_BENCH_SERVER"

func TestMain(m *testing.M) {
	if kind := os.Getenv(serverEnv); kind != "" {
		serve(kind)
		return
	}
	os.Exit(m.Run())
}

// serve is the server process. It prints its address, and then its CPU time
// in microseconds and its memory in KiB for each line of its standard input.
func serve(kind string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	src, err := tlsparams.Params{}.Source("bench", true)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go servers[kind](l, src)
	fmt.Println(l.Addr())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(ownUsage())
	}
}

var servers = map[string]func(net.Listener, *tlsparams.Source){
	"bare-tls":   bareTLS,
	"bare-tcp":   bareTCP,
	"engine-tls": engineTLS,
	"unfair-tls": unfairTLS,
	"engine-tcp": engineTCP,
}

// bareTLS is the loop that one writes by hand: listen, accept, a goroutine a
// client, io.Copy.
func bareTLS(l net.Listener, src *tlsparams.Source) {
	l = tls.NewListener(l, src.Config())
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
}

func bareTCP(l net.Listener, _ *tlsparams.Source) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
}

func echo(_ context.Context, c *netserver.Conn) error {
	_, err := io.Copy(c, c)
	return err
}

func engineTLS(l net.Listener, src *tlsparams.Source) {
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	p := port.Spec{Host: "127.0.0.1", Port: strconv.Itoa(addr.Port), Proto: "ssl", IPv: "4"}
	runEngine(p, true)
}

// unfairTLS is the engine without its handshake queue.
func unfairTLS(l net.Listener, src *tlsparams.Source) {
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	runEngine(port.Spec{Host: "127.0.0.1", Port: strconv.Itoa(addr.Port), Proto: "ssl", IPv: "4"}, false)
}

func engineTCP(l net.Listener, _ *tlsparams.Source) {
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	runEngine(port.Spec{Host: "127.0.0.1", Port: strconv.Itoa(addr.Port), Proto: "tcp", IPv: "4"}, true)
}

func runEngine(p port.Spec, queue bool) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echo), Log: slog.New(slog.DiscardHandler)}
	s.Config.Ports = []port.Spec{p}
	s.Config.Admission.NoQueue = !queue
	if err := s.ListenAndServe(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A process is a server process under load.
type process struct {
	addr string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

func startProcess(tb testing.TB, kind string) *process {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	p := &process{cmd: cmd, in: in, out: bufio.NewReader(out)}
	tb.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	line, err := p.out.ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	p.addr = strings.TrimSpace(line)
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			c.Close()
			return p
		}
		if time.Now().After(deadline) {
			tb.Fatal(err)
		}
	}
}

// usage returns the CPU time and the largest memory that the process has used.
func (p *process) usage(tb testing.TB) (cpu time.Duration, rss int) {
	tb.Helper()
	fmt.Fprintln(p.in, "usage")
	var us int64
	if _, err := fmt.Fscan(p.out, &us, &rss); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(us) * time.Microsecond, rss
}
