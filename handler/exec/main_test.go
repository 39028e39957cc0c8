//go:build unix

package exec_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	osexec "os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// helperVar names the helper that the test binary is when a test runs it as
// the program of a Handler.
const helperVar = "EXEC_TEST_HELPER"

var helpers = map[string]func(){
	"peername": helperPeerName,
	"stubborn": helperStubborn,
	"server":   helperServer,
	"stderr":   helperStderr,
	"fill":     helperFill,
	"spare":    helperSpare,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVar); name != "" {
		helpers[name]()
		os.Exit(0)
	}
	heedSignals()
	code := netservertest.Main(m)
	if left := children(); code == 0 && len(left) > 0 {
		fmt.Fprintln(os.Stderr, "children left over:", left)
		code = 1
	}
	os.Exit(code)
}

// heedSignals gives programs the signals that are ignored in this process, as
// below nohup and in the background of a script: a shell can trap none that was
// ignored when it began.
func heedSignals() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// children returns the processes that this one has started and not reaped.
func children() (pids []string) {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, t := range tasks {
		b, _ := os.ReadFile("/proc/self/task/" + t.Name() + "/children")
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}

// helperPeerName prints who is at the other end of descriptors 0 and 1.
func helperPeerName() {
	for _, f := range []*os.File{os.Stdin, os.Stdout} {
		c, err := net.FileConn(f)
		if err != nil {
			fmt.Fprintln(os.Stdout, err)
			continue
		}
		fmt.Fprintln(os.Stdout, c.RemoteAddr().Network(), c.RemoteAddr())
	}
}

// helperStubborn ignores TERM and the client.
func helperStubborn() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGPIPE)
	fmt.Println("ready", os.Getpid())
	select {}
}

// helperStderr writes awkward lines to its standard error.
func helperStderr() {
	fmt.Fprintf(os.Stderr, "one\r\n\x1b[31mtwo\xff\n%s\nlast", strings.Repeat("x", 5000))
}

// helperFill writes until nobody takes any more, tells how much it was, and
// exits while a child of its own keeps the pipe open.
func helperFill() {
	syscall.SetNonblock(1, true)
	b := bytes.Repeat([]byte("x"), 1000)
	total := 0
	for last := time.Now(); time.Since(last) < 500*time.Millisecond; {
		n, err := syscall.Write(1, b)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		total += n
		last = time.Now()
	}
	fmt.Fprintln(os.Stderr, "wrote", total, os.Getpid())
	child := osexec.Command("sleep", "1000")
	child.Stdout = os.NewFile(1, "stdout")
	child.Start()
}

// startHelper runs the test binary as a helper of its own.
func startHelper(t *testing.T, name string) (*osexec.Cmd, io.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := osexec.Command(self)
	cmd.Env = append(os.Environ(), helperVar+"="+name)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, out
}
