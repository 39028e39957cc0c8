//go:build unix

package page_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// A server is the real command, with a TLS port and an admin listener.
type server struct {
	*exec.Cmd
	admin, tls string // addresses
}

// startServer builds and starts the command, and ends it with the test.
func startServer(t *testing.T) *server {
	program := filepath.Join(t.TempDir(), "netserver")
	if out, err := exec.Command("go", "build", "-o", program, "../../../../cmd/netserver").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	args := []string{"--host", "127.0.0.1", "--port", "0/ssl", "--admin", "127.0.0.1:0", "--admin_write", "1"}
	if os.Getuid() == 0 {
		args = append(args, "--user", "root")
	}
	s := &server{Cmd: exec.Command(program, args...)}
	out, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	t.Cleanup(func() {
		s.Process.Signal(syscall.SIGTERM)
		<-read
		s.Wait()
	})
	var mu sync.Mutex
	var said strings.Builder
	bound := make(chan []string, 1)
	go func() {
		defer close(read)
		ports := regexp.MustCompile(`auto-assigned port (\d+)`)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			mu.Lock()
			said.WriteString(lines.Text() + "\n")
			all := ports.FindAllStringSubmatch(said.String(), -1)
			mu.Unlock()
			if len(all) == 2 && len(bound) == 0 {
				bound <- []string{all[0][1], all[1][1]}
			}
		}
	}()
	select {
	case got := <-bound:
		s.admin, s.tls = net.JoinHostPort("127.0.0.1", got[0]), net.JoinHostPort("127.0.0.1", got[1])
	case <-read:
		t.Fatalf("the server has ended:\n%s", said.String())
	case <-time.After(2 * time.Minute):
		t.Fatal("the server does not open its ports")
	}
	return s
}

// connect is a client that is being served.
func connect(t *testing.T, addr string) net.Conn {
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	if line, err := bufio.NewReaderSize(c, 16).ReadSlice('\n'); len(line) == 0 {
		t.Fatalf("no greeting: %v", err)
	}
	return c
}

// TestRealServer has the page show what the command does: clients that come and
// leave, one that the page ends, a network that it bans, and a drain.
func TestRealServer(t *testing.T) {
	browser := browse(t)
	s := startServer(t)
	p := open(t, browser, "http://"+s.admin+"/", "", 1280, 900, false)
	p.has("#state", "serving")
	p.has("#attention", "Nothing.")
	var clients []net.Conn
	for range 5 {
		clients = append(clients, connect(t, s.tls))
	}
	p.has("#nav-count", "5")
	p.has("#c-open .legend", "open 5 in the handler 5")
	p.has("#t-tls", "1.3")
	p.has("#t-sources", "127.0.0.1 5")
	p.has("#t-limits", "max_connections")
	p.has("#t-workers", "serving")
	for _, c := range clients[2:] {
		c.Close()
	}
	p.has("#nav-count", "2")
	p.has("#t-outcomes", "served")
	p.await(`[...document.querySelectorAll("#c-outcomes .legend b")].some((b) => b.innerText !== "0" && b.innerText !== "–") || document.querySelector("#t-outcomes td.num").innerText !== "–"`)

	p.text(`location.hash = "connections"`)
	p.has("#conns-note", "2 connections")
	p.has(".rows", clients[1].LocalAddr().String())
	p.focus("#search")
	p.press(clients[1].LocalAddr().String())
	p.has("#conns-note", "1 of 2 connections match")
	p.click(".rows .tr")
	p.asked("Connection ")
	p.click("#dialog-buttons .danger")
	p.asked("is cut at once")
	p.click("#dialog-buttons .danger")
	p.has("#announce", "was ended.")
	if n, err := clients[1].Read(make([]byte, 64)); n > 0 || err == nil {
		// What is left of the greeting comes first.
		for err == nil {
			_, err = clients[1].Read(make([]byte, 64))
		}
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Error("the client was not ended")
		}
	}
	p.text(`location.hash = "overview"`)
	p.has("#t-outcomes", "killed")
	p.has("#nav-count", "1")

	p.click("#ban")
	p.asked("Ban a network")
	p.press("192.0.2.0/24", kb.Enter)
	p.has("#t-penalties", "192.0.2.0/24")

	if err := s.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	p.has("#leaving", "Draining: the server ends when its clients have left. 1 of 1 client still connected")
	p.has("#announce", "The server is draining.")
	clients[0].Close()
	p.has("#stale", "No answer from the server.")
}
