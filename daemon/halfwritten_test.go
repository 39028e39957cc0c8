//go:build unix

package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// A conf file that was cut short at a reload changes nothing, and a whole one
// after it is taken.
func TestHalfWrittenConfFile(t *testing.T) {
	const rule = "allow 127.0.0.1\n"
	for _, form := range []struct {
		name, first, last string // parts of the file
		without           string // what is wrong if the last part is missing
		args              []string
	}{
		{"server.conf", rule, "port 127.0.0.1:0\n", "no port is configured any more", nil},
		{"server.toml", "allow = \"127.0.0.1\"\n", "[[listen]]\nport = \"127.0.0.1:0\"\n", "no port is configured any more", nil},
		{"rules.conf", "", rule, "now sets no key", []string{"--port", "127.0.0.1:0"}},
	} {
		t.Run(form.name, func(t *testing.T) {
			file := writeFile(t, filepath.Join(openDir(t), form.name), form.first+form.last)
			socket := filepath.Join(filepath.Dir(file), "ctl")
			r := start(t, append(form.args, "--conf_file", file, "--control_socket", socket)...)
			addr := r.addr(0)
			r.serving()
			worker := r.only()
			n := 0
			refused := func(why string) {
				t.Helper()
				n++
				r.signal(syscall.SIGHUP)
				r.wait("new configuration rejected; the current one stays", n)
				if !strings.Contains(r.text(), why) {
					t.Errorf("no %q in the log", why)
				}
				code, _, stderr := ctl(socket, "reload", "--dry-run")
				if code != 1 || !strings.Contains(stderr, why) {
					t.Errorf("dry run: status %d, %s", code, stderr)
				}
			}
			writeFile(t, file, "")
			refused("sets no key")
			writeFile(t, file, "# nothing\n\n")
			refused("sets no key")
			writeFile(t, file, form.first+strings.TrimSuffix(form.last, "\n"))
			refused("no longer ends with a newline")
			writeFile(t, file, form.first)
			refused(form.without)
			os.Remove(file)
			refused("no such file")
			if err := os.Mkdir(file, 0o755); err != nil {
				t.Fatal(err)
			}
			refused("it is a directory")
			if got := r.only(); got != worker {
				t.Error("another worker")
			}
			mustDial(t, addr).mustAsk(t, "still here")
			os.Remove(file)
			writeFile(t, file, form.first+form.last)
			r.signal(syscall.SIGHUP)
			r.wait("restart: ports and handler are the same", 1)
		})
	}
}

// A file that is written slowly, line by line, is read when it is done.
func TestConfFileIsReadWhenItRests(t *testing.T) {
	file := writeFile(t, filepath.Join(openDir(t), "server.conf"), "port 127.0.0.1:0\n")
	r := start(t, "--conf_file", file)
	r.serving()
	socket := filepath.Join(filepath.Dir(file), "s")
	// On a busy machine this process may not run for so long between two lines
	// that the file rests; then it is tried once more.
	const rests = 100 * time.Millisecond
	refused := 0
	for took := time.Duration(rests); took >= rests; {
		begin := time.Now()
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.signal(syscall.SIGHUP)
		f.WriteString("port 127.0.0.1:0\n")
		f.WriteString("port " + socket + "|unix\n")
		took = time.Since(begin)
		f.Close()
		netservertest.Eventually(t, "the reload", func() bool {
			text := r.text()
			if strings.Contains(text, "restart: added "+socket) {
				took = 0
				return true
			}
			n := strings.Count(text, "restart: ports and handler are the same") + strings.Count(text, "new configuration rejected; the current one stays")
			again := n > refused && took >= rests
			refused = n
			return again
		})
	}
	netservertest.Eventually(t, "the socket", func() bool {
		_, err := os.Lstat(socket)
		return err == nil
	})
}

// A server whose conf file is empty, and that nobody gave a port, does not
// open the default one.
func TestEmptyConfFileStartsNothing(t *testing.T) {
	file := writeFile(t, filepath.Join(openDir(t), "server.conf"), "# port 443/ssl\n")
	r := start(t, "--conf_file", file)
	if code := r.status(); code != 2 || !strings.Contains(r.text(), "sets no key, and no port is configured elsewhere") {
		t.Errorf("status %d", code)
	}
	r = start(t, "--conf_file", file, "--port", "127.0.0.1:0")
	r.serving()
}
