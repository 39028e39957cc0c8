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
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helperVar names the helper that the test binary is when a test runs it as
// the program of a Handler.
const helperVar = "EXEC_TEST_HELPER"

var helpers = map[string]func(){
	"peername": helperPeerName,
	"stubborn": helperStubborn,
	"server":   helperServer,
	"stderr":   helperStderr,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(helperVar); name != "" {
		helpers[name]()
		os.Exit(0)
	}
	goroutines, files := runtime.NumGoroutine(), openFiles()
	code := m.Run()
	if code == 0 {
		code = leaks(goroutines, files)
	}
	os.Exit(code)
}

// leaks waits until goroutines, descriptors and children are as few as they
// were before the tests, and complains if that does not come.
func leaks(goroutines, files int) int {
	var what string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		switch {
		case runtime.NumGoroutine() > goroutines:
			var b bytes.Buffer
			pprof.Lookup("goroutine").WriteTo(&b, 1)
			what = "goroutines:\n" + b.String()
		case openFiles() > files+2: // the poller's own, made at first use
			what = fmt.Sprintf("descriptors: %d, and %d before", openFiles(), files)
		case len(children()) > 0:
			what = fmt.Sprintf("children: %v", children())
		default:
			return 0
		}
	}
	fmt.Fprintln(os.Stderr, "left over:", what)
	return 1
}

// openFiles counts the descriptors of this process, where the system tells.
func openFiles() int {
	d, _ := os.ReadDir("/proc/self/fd")
	return len(d)
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
