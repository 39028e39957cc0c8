//go:build unix

package daemon_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// What is wrong with a [[backend]] is said with its place.
func TestBackendProblems(t *testing.T) {
	const rest = "[[listen]]\nport = 1\nbackend = 'a'\n"
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "the [[backend]] a has neither targets nor targets_file (f.toml:1)"},
		{"weight", "targets = ['127.0.0.1:9', '127.0.0.1:8 weight=0']", "targets: \"127.0.0.1:8 weight=0\": weight=0: it must be a number from 1 to 256 (f.toml:3)"},
		{"word", "targets = '127.0.0.1:9 wieght=2'", "targets: \"127.0.0.1:9 wieght=2\": wieght=2 is not known: after the address come weight=N, max=N and backup (f.toml:3)"},
		{"srv", "targets = 'srv:imap.example.com:143'", "targets: \"srv:imap.example.com:143\": the records of a srv: name tell the port: write it without one (f.toml:3)"},
		{"twice", "targets = ['127.0.0.1:9', '127.0.0.1:9']", "backend a: 127.0.0.1:9: the target is given twice (f.toml:1)"},
		{"balance", "targets = '127.0.0.1:9'\nbalance = 'best'", "balance: best is not a way to balance: write round_robin, least, source or priority (f.toml:4)"},
		{"check", "targets = '127.0.0.1:9'\ncheck = 'http POST /'", "check: \"http POST /\": the method is GET, HEAD or OPTIONS, not POST (f.toml:4)"},
		{"no check", "targets = '127.0.0.1:9'\ncheck_rise = 3", "check_rise has no effect without check (f.toml:4); give check too, or leave check_rise out"},
		{"fall", "targets = '127.0.0.1:9'\ncheck = 'tcp'\ncheck_fall = 0", "check_fall: \"0\" is out of range: it must be from 1 to 100 (f.toml:5)"},
		{"no queue", "targets = '127.0.0.1:9'\nqueue = 3", "queue has no effect: no target has a max (f.toml:4)"},
		{"no names", "targets = '127.0.0.1:9'\nresolve_interval = 3", "resolve_interval has no effect: no target is a name (f.toml:4)"},
		{"no file", "targets_file = '/nonexistent/targets'", "backend a: stat /nonexistent/targets: no such file or directory (f.toml:1)"},
		{"own port", "targets = '127.0.0.1:1'", "backend a: 127.0.0.1:1: the target is port [::]:1 of this server itself (f.toml:6)"},
		{"nothing wrong", "targets = '127.0.0.1:9'", ""},
	} {
		code, _, stderr, _ := checkFile(t, "[[backend]]\nname = 'a'\n"+c.text+"\n"+rest)
		got := strings.TrimSpace(strings.ReplaceAll(stderr, "netserver: ", ""))
		if want := map[bool]int{true: 0, false: 2}[c.want == ""]; code != want || got != c.want {
			t.Errorf("%s: status %d\n got %s\nwant %s", c.name, code, got, c.want)
		}
	}
}

// listener accepts connections until it is closed, and sends a text to each.
func listener(t *testing.T, address, text string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(nc, text)
			nc.Close()
		}
	}()
	return l
}

// A backend of a conf file: its targets share the clients, a file adds others
// while the server runs, checks find those that are down, and the log tells.
func TestBackendOfAConfFile(t *testing.T) {
	rooted(t)
	for _, user := range []string{"root", "nobody"} {
		t.Run(user, func(t *testing.T) {
			dir := openDir(t)
			a, b := listener(t, freeAddr(t), "a"), listener(t, "127.0.0.1:0", "b") // a's comes back
			list := writeFile(t, filepath.Join(dir, "targets"), "# more\n")
			file := writeFile(t, filepath.Join(dir, "f.toml"), fmt.Sprintf(`
[[backend]]
name = "ab"
targets = [%q]
targets_file = %q
check = "tcp"
check_interval = 0.02
check_timeout = 20
check_fall = 1
[[listen]]
port = %q
backend = "ab"
`, a.Addr().String()+" weight=1", list, dir+"/1|unix"))
			r := start(t, "--conf_file", file, "--user", user)
			r.serving()
			if got := said(t, dir+"/1", ""); got != "a" {
				t.Errorf("%q", got)
			}
			writeFile(t, list+".new", b.Addr().String()+"\n")
			if err := os.Rename(list+".new", list); err != nil {
				t.Fatal(err)
			}
			r.wait("new targets", 1)
			if got := said(t, dir+"/1", "") + said(t, dir+"/1", ""); got != "ab" && got != "ba" {
				t.Errorf("%q", got)
			}
			writeFile(t, list+".new", b.Addr().String()+"\nnonsense\n")
			if err := os.Rename(list+".new", list); err != nil {
				t.Fatal(err)
			}
			r.wait("new targets rejected; the current ones stay", 1)
			a.Close()
			r.wait("target is down backend=ab target="+a.Addr().String(), 1)
			for range 4 {
				if got := said(t, dir+"/1", ""); got != "b" {
					t.Errorf("%q", got)
				}
			}
			listener(t, a.Addr().String(), "a")
			r.wait("target is up backend=ab target="+a.Addr().String(), 1)
			netservertest.Eventually(t, "a serves again", func() bool { return said(t, dir+"/1", "") == "a" })
		})
	}
}

// A record names the backend, the target and how many were tried, and the reason
// if there is none.
func TestRecordOfABackend(t *testing.T) {
	dir := openDir(t)
	a := listener(t, "127.0.0.1:0", "a")
	dead := listener(t, freeAddr(t), "")
	dead.Close()
	file := writeFile(t, filepath.Join(dir, "f.toml"), fmt.Sprintf(`
log_level = 4
[[backend]]
name = "both"
targets = [%q, %q]
[[backend]]
name = "none"
targets = %q
check = "tcp"
check_interval = 0.02
[[listen]]
port = %q
backend = "both"
[[listen]]
port = %q
backend = "none"
`, dead.Addr(), a.Addr(), dead.Addr(), dir+"/1|unix", dir+"/2|unix"))
	r := start(t, "--conf_file", file, "--user", "root")
	r.serving()
	if got := said(t, dir+"/1", ""); got != "a" {
		t.Errorf("%q", got)
	}
	r.wait("backend=both target="+a.Addr().String(), 1)
	r.wait("tries=2", 1)
	r.wait("target is down backend=none", 1)
	nc, err := net.Dial("unix", dir+"/2")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	if n, err := nc.Read(make([]byte, 1)); n > 0 || err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
	r.wait(`err="no target of backend none is up: `+dead.Addr().String()+`: check tcp: connection refused"`, 1)
}

// A proxy_to may be a name with SRV records; the log says when it cannot be
// looked up.
func TestProxyToServiceRecords(t *testing.T) {
	dir := openDir(t)
	r := start(t, "--port", dir+"/1|unix", "--proxy_to", "srv:_imap._tcp.no-such-domain.invalid", "--user", "root")
	r.serving()
	r.wait("look-up of a target failed target=srv:_imap._tcp.no-such-domain.invalid", 1)
	if got := said(t, dir+"/1", ""); got != "" {
		t.Errorf("%q", got)
	}
	r.wait("no target of proxy_to srv:_imap._tcp.no-such-domain.invalid is up: ", 1)
}
