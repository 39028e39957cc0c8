//go:build unix

package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// What others may change is told to root, and refused with strict_files.
func TestStrictFiles(t *testing.T) {
	rooted(t)
	dir := openDir(t)
	theirs := filepath.Join(dir, "theirs")
	if err := errors.Join(os.Mkdir(theirs, 0o755), os.Chown(theirs, 12345, 12345)); err != nil {
		t.Fatal(err)
	}
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	copyTo := func(from, to string, mode os.FileMode) string {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to = writeFile(t, filepath.Join(dir, to), string(b))
		if err := os.Chmod(to, mode); err != nil {
			t.Fatal(err)
		}
		return to
	}
	file := func(name, text string, mode os.FileMode) string {
		name = writeFile(t, filepath.Join(dir, name), text)
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	cert, key := copyTo(pair.CertFile, "cert.pem", 0o644), copyTo(pair.KeyFile, "key.pem", 0o600)
	script := "#!/bin/sh\necho ok\n"
	own := file("own", script, 0o755)
	if err := os.Chown(own, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	port := []string{"--port", "127.0.0.1:0"}
	tls := func(cert, key string) []string {
		return []string{"--port", "127.0.0.1:0/ssl", "--SSL_cert_file", cert, "--SSL_key_file", key}
	}
	for _, tc := range []struct {
		args []string
		want string // "" is nothing to say
	}{
		{append(port, "--conf_file", file("conf", "grace 1\n", 0o644)), ""},
		{append(tls(cert, key), "--", own), ""},
		{append(port, "--conf_file", file("open.conf", "grace 1\n", 0o666)), "conf_file " + dir + "/open.conf can be changed by others: others may write to it (mode 0666): chmod go-w " + dir + "/open.conf"},
		{append(port, "--conf_file", file("theirs/conf", "grace 1\n", 0o644)), "conf_file " + theirs + "/conf can be changed by others: the directory " + theirs + " belongs to user 12345"},
		{tls(cert, copyTo(key, "public.pem", 0o644)), "public.pem can be read by every user: chmod o-r"},
		{tls(copyTo(cert, "open.pem", 0o664), key), "open.pem can be changed by others"},
		{append(port, "--", file("program", script, 0o775)), "the program " + dir + "/program can be changed by others"},
		{append(port, "--", "sh", file("script", script, 0o646)), "the program: the argument " + dir + "/script can be changed"},
		{append(port, "--", file("with-interpreter", "#!"+dir+"/program\n", 0o755)), "the program: the interpreter " + dir + "/program can be changed"},
		{append(port, "--deny_file", file("rules", "192.0.2.1\n", 0o666)), "deny_file " + dir + "/rules can be changed"},
		{append(port, "--check_for_dequeue", "100", "--max_dequeue", "1", "--dequeue_command", dir+"/program"), "dequeue_command " + dir + "/program can be changed"},
	} {
		r := start(t, tc.args...)
		r.serving()
		if tc.want == "" && strings.Contains(r.text(), "strict_files") || !strings.Contains(r.text(), tc.want) {
			t.Errorf("%q: without %q:\n%s", tc.args, tc.want, r.text())
		}
		r.end(syscall.SIGTERM)
		r = start(t, append([]string{"--strict_files", "1"}, tc.args...)...)
		if tc.want == "" {
			r.serving()
			r.end(syscall.SIGTERM)
		} else if code := r.status(); code != 2 || !strings.Contains(r.text(), "strict_files: ") || !strings.Contains(r.text(), tc.want) {
			t.Errorf("%q: strict: exit status %d\n%s", tc.args, code, r.text())
		}
	}
}

// A program that others may have put there is not executed as root at a
// restart.
func TestStrictBinaryAtRestart(t *testing.T) {
	rooted(t)
	for _, strict := range []string{"1", "0"} {
		dir := openDir(t)
		name := filepath.Join(dir, "netserver")
		copyProgram(t, name)
		r := startProgram(t, name, "command", "--port", "127.0.0.1:0", "--strict_files", strict)
		addr := r.addr(0)
		r.serving()
		mark := filepath.Join(dir, "mark")
		evil := writeFile(t, filepath.Join(dir, "evil"), "#!/bin/sh\ntouch "+mark+"\n")
		if err := errors.Join(os.Chmod(evil, 0o755), os.Chown(evil, 12345, 12345), os.Rename(evil, name)); err != nil {
			t.Fatal(err)
		}
		r.signal(syscall.SIGHUP)
		r.wait("the server's own program "+name+" can be changed by others: it belongs to user 12345", 1)
		if strict == "1" {
			r.wait("it is not executed", 1)
		} else {
			r.wait("(strict_files 1 refuses that)", 1)
			netservertest.Eventually(t, "its execution", func() bool { _, err := os.Stat(mark); return err == nil })
			r.wait("did not check the configuration", 1)
		}
		if _, err := os.Stat(mark); strict == "1" && err == nil {
			t.Error("it was executed all the same")
		}
		mustDial(t, addr).mustAsk(t, "still there")
		r.end(syscall.SIGTERM)
	}
}
