//go:build unix

package daemon_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netserver/netservertest"
)

// What nobody cannot reach is refused, whether a user was chosen or not: root
// takes that user's place only if it is told to.
func TestWhoCanServe(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	private := filepath.Join(dir, "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	program := func(name, text string, mode os.FileMode) string {
		path := writeFile(t, name, text)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hidden := program(filepath.Join(private, "hidden"), "#!/bin/sh\necho ok\n", 0o755)
	own := program(filepath.Join(dir, "own"), "#!/bin/sh\necho ok\n", 0o700)
	odd := program(filepath.Join(dir, "odd"), "#!"+own+"\n", 0o755)
	open := program(filepath.Join(dir, "open"), "#!/bin/sh\necho ok\n", 0o755)
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o755); err != nil {
		t.Fatal(err)
	}
	piped := program(filepath.Join(dir, "piped"), "#!"+fifo+"\n", 0o755) // which nothing may wait for
	script := program(filepath.Join(private, "script"), "echo ok\n", 0o644)
	rules := program(filepath.Join(dir, "rules"), "192.0.2.1\n", 0o600)
	chosen := []string{"--user", "nobody"}
	for _, tc := range []struct {
		args []string
		why  string // "" is that nobody serves
		soft bool   // no error for a chosen user
	}{
		{[]string{"--", open}, "", false},
		{[]string{"--", "cat", open}, "", false},
		{[]string{"--", hidden}, "cannot execute " + hidden + ": the directory " + private + " is closed to it", false},
		{[]string{"--", own}, "cannot execute " + own + ": it may not execute the file", false},
		{[]string{"--", odd}, "cannot execute " + odd + ": its interpreter " + own, false},
		{[]string{"--", piped}, "", false},
		{[]string{"--", "sh", script}, "cannot read " + script + ", an argument of the program", true},
		{[]string{"--", "env", "-i", "X=" + script, "echo", "ok"}, "cannot read " + script, true},
		{[]string{"--server_type", "Fork", "--http", "1", "--http_root", dir}, "", false},
		{[]string{"--server_type", "Fork", "--http", "1", "--http_root", private}, "cannot serve http_root " + private + ": it may not", false},
		{[]string{"--deny_file", rules}, "cannot read deny_file " + rules, false},
	} {
		args := append([]string{"--port", "127.0.0.1:0"}, tc.args...)
		r := start(t, args...)
		if tc.why == "" {
			r.serving()
			if s := statusOf(t, r.only()); !strings.Contains(s, "Uid:\t65534\t65534\t65534\t65534") {
				t.Errorf("%q: as whom?\n%s", tc.args, s)
			}
			r.end(syscall.SIGTERM)
		} else if code := r.status(); code != 2 || !strings.Contains(r.text(), "user nobody, who serves the clients when root starts the server, "+tc.why) ||
			!strings.Contains(r.text(), "(--user root, if root is to serve") {
			t.Errorf("%q: exit status %d", tc.args, code)
		}
		// Root serves where it is told to, after a restart too.
		r = start(t, append([]string{"--user", "root"}, args...)...)
		r.serving()
		pid := r.only()
		r.signal(syscall.SIGHUP)
		r.wait("restart: ", 1)
		if s := statusOf(t, r.only(pid)); !strings.Contains(s, "Uid:\t0\t0\t0\t0") {
			t.Errorf("%q: with user root:\n%s", tc.args, s)
		}
		r.end(syscall.SIGTERM)

		r = start(t, append(chosen, args...)...)
		switch {
		case tc.why == "" || tc.soft:
			r.serving()
			if !strings.Contains(r.text(), tc.why) {
				t.Errorf("%q with a user: no warning", tc.args)
			}
		default:
			if code := r.status(); code != 2 || !strings.Contains(r.text(), "user: nobody "+tc.why) {
				t.Errorf("%q with a user: exit status %d:\n%s", tc.args, code, r.text())
			}
		}
		r.end(syscall.SIGTERM)
	}
	// What one port alone, or a backend, needs matters as well.
	socket := filepath.Join(private, "socket")
	if l, err := net.Listen("unix", socket); err != nil {
		t.Fatal(err)
	} else {
		defer l.Close()
	}
	for text, why := range map[string]string{
		"[[listen]]\nport = '127.0.0.1:0'\nprogram = '" + hidden + "'\n":                                            "cannot execute " + hidden,
		"[[listen]]\nport = '127.0.0.1:0'\nproxy_to = '" + socket + "'\n":                                           "cannot connect to " + socket,
		"[[backend]]\nname = 'b'\ntargets = ['127.0.0.1:9', '" + socket + "']\n[[listen]]\nport = 0\nbackend = 'b'": "cannot connect to " + socket,
		"[[listen]]\nport = '127.0.0.1:0'\ncidr_deny_file = '" + rules + "'\n":                                      "cannot read cidr_deny_file " + rules,
	} {
		r := start(t, "--user", "nobody", "--conf_file", writeFile(t, filepath.Join(dir, "server.toml"), text+"\n"))
		if code := r.status(); code != 2 || !strings.Contains(r.text(), "user: nobody "+why) {
			t.Errorf("%s: exit status %d:\n%s", text, code, r.text())
		}
	}
	// All at once.
	r := start(t, "--user", "nobody", "--port", "127.0.0.1:0", "--deny_file", rules, "--", hidden)
	if code := r.status(); code != 2 || !strings.Contains(r.text(), rules) || !strings.Contains(r.text(), hidden) {
		t.Errorf("exit status %d:\n%s", code, r.text())
	}
}

// A reload does not bring root back in either: what nobody may no longer reach
// keeps the old configuration.
func TestReloadDoesNotMakeRootServe(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	program := writeFile(t, filepath.Join(dir, "program"), "#!/bin/sh\nid -u\n")
	os.Chmod(program, 0o755)
	r := start(t, "--port", "127.0.0.1:0", "--", program)
	addr := r.addr(0)
	r.serving()
	os.Chmod(program, 0o700)
	r.signal(syscall.SIGHUP)
	r.wait("cannot execute "+program, 1)
	os.Chmod(program, 0o755)
	c := mustDial(t, addr)
	if got, err := c.r.ReadString('\n'); got != "65534\n" {
		t.Errorf("the program runs as %q, %v", got, err)
	}
}

// An answer that nobody may not send to a client's own socket is logged with
// what to do about it, and one that it may send arrives.
func TestDatagramAnswersOfNobody(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	path := filepath.Join(dir, "d")
	r := start(t, "--port", path+"|unixdgram", "--unix_mode", "0666")
	r.serving()
	for name, mode := range map[string]os.FileMode{"closed": 0o700, "open": 0o777} {
		own := filepath.Join(dir, name)
		c, err := net.DialUnix("unixgram", &net.UnixAddr{Name: own, Net: "unixgram"}, &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := os.Chmod(own, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if name == "closed" {
			r.wait("user 65534, which the server runs as, may not write to the client's socket", 1)
			r.wait("umask 0", 1)
			continue
		}
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		b := make([]byte, 100)
		if n, err := c.Read(b); err != nil || !strings.Contains(string(b[:n]), "hello") {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
}

// Under another root directory the program and what interprets it are looked
// for there.
func TestChrootWithoutItsFiles(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "bin", "script"), "#!/bin/sh\n")
	os.Chmod(filepath.Join(dir, "bin", "script"), 0o755)
	for args, want := range map[string]string{
		"/bin/sh":     "cannot execute /bin/sh: there is no such file below the root directory " + dir,
		"sh":          "cannot execute sh: it is not found in $PATH below " + dir,
		"/bin/script": "its interpreter /bin/sh: there is no such file below the root directory " + dir,
	} {
		r := start(t, "--port", "127.0.0.1:0", "--user", "nobody", "--chroot", dir, "--", args)
		if code := r.status(); code != 2 || !strings.Contains(r.text(), want) {
			t.Errorf("%s: exit status %d:\n%s", args, code, r.text())
		}
	}
}

// What is wrong with a program of an HTTP request is said at start, once.
func TestAppsThatCannotRun(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "env.pl"), "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(dir, "env.pl"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for app, want := range map[string]string{
		"/x=env.pl":    "cannot execute env.pl: it is not found in $PATH; write ./env.pl for the one in this directory",
		"/x=no-such":   "no-such: executable file not found in $PATH",
		"/x=sh env.pl": `app "/x=sh env.pl": its path would be /x=sh, up to the blank; for a program with arguments write "/x sh env.pl"`,
	} {
		r := start(t, "HTTP", "--port", "127.0.0.1:0", "--app", app)
		if code := r.status(); code != 2 || strings.Count(r.text(), want) != 1 {
			t.Errorf("%s: exit status %d:\n%s", app, code, r.text())
		}
	}
}

// Directories of certificates that root alone can list are served by nobody,
// and followed.
func TestPrivateDirectoryOfCertificates(t *testing.T) {
	rooted(t)
	dir := filepath.Join(openDir(t), "private")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ca := netservertest.CA(t)
	issue := func() {
		t.Helper()
		ca.Issue(t, netservertest.Leaf{}).WriteBoth(t, filepath.Join(dir, "one.pem"), 0o600)
	}
	issue()
	r := start(t, "--port", "127.0.0.1:0/ssl", "--SSL_cert_dir", dir)
	addr := r.addr(0)
	r.serving()
	first := leafOf(t, addr)
	if s := statusOf(t, r.only()); !strings.Contains(s, "Uid:\t65534\t65534\t65534\t65534") {
		t.Errorf("status:\n%s", s)
	}
	issue()
	netservertest.Eventually(t, "the renewed certificate", func() bool { return leafOf(t, addr) != first })
}

// UNIX sockets belong to who serves, unless it is said otherwise.
func TestOwnerOfUnixSockets(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	for _, tc := range []struct {
		args     []string
		uid, gid uint32
	}{
		{nil, 65534, 65534},
		{[]string{"--user", "root"}, 0, 0},
		{[]string{"--user", "daemon", "--group", "nogroup"}, 1, 65534},
		{[]string{"--unix_owner", "root"}, 0, 0},
		{[]string{"--unix_owner", "daemon"}, 1, 0},
	} {
		path := filepath.Join(dir, "s")
		r := start(t, append([]string{"--port", path + "|unix"}, tc.args...)...)
		r.serving()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); st.Uid != tc.uid || st.Gid != tc.gid {
			t.Errorf("%q: the socket belongs to %d, %d; want %d, %d", tc.args, st.Uid, st.Gid, tc.uid, tc.gid)
		}
		r.end(syscall.SIGTERM)
	}
}
