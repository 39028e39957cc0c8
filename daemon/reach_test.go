//go:build unix

package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// What nobody cannot reach has root serve, and is named; a user that was
// chosen is refused for it.
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
		{[]string{"--", "sh", script}, "cannot read " + script + ", an argument of the program", true},
		{[]string{"--", "env", "-i", "X=" + script, "echo", "ok"}, "cannot read " + script, true},
		{[]string{"--deny_file", rules}, "cannot read deny_file " + rules, false},
		{[]string{"--port", dir + "/d|unixdgram"}, "cannot answer the clients of port " + dir + "/d|unixdgram", true},
	} {
		args := append([]string{"--port", "127.0.0.1:0"}, tc.args...)
		r := start(t, args...)
		r.serving()
		want := "Uid:\t0\t0\t0\t0"
		if tc.why == "" {
			want = "Uid:\t65534\t65534\t65534\t65534"
		} else if !strings.Contains(r.text(), "serving as root, since nobody "+tc.why) {
			t.Errorf("%q: without %q", tc.args, tc.why)
		}
		if s := statusOf(t, r.only()); !strings.Contains(s, want) {
			t.Errorf("%q: without %q:\n%s", tc.args, want, s)
		}
		// The same decision is made at a restart.
		pid := r.only()
		r.signal(syscall.SIGHUP)
		r.wait("restart: ", 1)
		if s := statusOf(t, r.only(pid)); !strings.Contains(s, want) {
			t.Errorf("%q: after a restart without %q:\n%s", tc.args, want, s)
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
	// All at once.
	r := start(t, "--user", "nobody", "--port", "127.0.0.1:0", "--deny_file", rules, "--", hidden)
	if code := r.status(); code != 2 || !strings.Contains(r.text(), rules) || !strings.Contains(r.text(), hidden) {
		t.Errorf("exit status %d:\n%s", code, r.text())
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
		p := ca.Issue(t, netservertest.Leaf{})
		cert, err := os.ReadFile(p.CertFile)
		if err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(p.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "one.pem")
		if err := os.WriteFile(name+".new", append(cert, key...), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
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
