//go:build unix

package daemon_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// A reload names what it does not do to a socket that it keeps, and makes one
// anew whose file was removed.
func TestReloadOfKeptSockets(t *testing.T) {
	dir := openDir(t)
	path, file := filepath.Join(dir, "s"), filepath.Join(dir, "server.conf")
	writeFile(t, file, "port "+path+"|unix\nunix_mode 0666\n")
	r := start(t, "--conf_file", file)
	r.serving()
	writeFile(t, file, "port "+path+"|unix\nunix_mode 0600\n")
	r.signal(syscall.SIGHUP)
	r.wait("changed: takes effect only when the server is stopped and started again", 1)
	if !strings.Contains(r.text(), "unix_mode of ") {
		t.Error("the key is not named")
	}
	r.wait("restart: ports and handler are the same", 1)
	os.Remove(path)
	r.signal(syscall.SIGHUP)
	netservertest.Eventually(t, "the socket is back", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// An address and all addresses of one port cannot follow each other at a
// reload: it says so, and so does the dry run.
func TestReloadFromAddressToAll(t *testing.T) {
	dir := openDir(t)
	port := freePort(t)
	file, socket := filepath.Join(dir, "server.conf"), filepath.Join(dir, "ctl")
	writeFile(t, file, "port 127.0.0.1:"+port+"\n")
	r := start(t, "--conf_file", file, "--control_socket", socket)
	r.serving()
	writeFile(t, file, "port 0.0.0.0:"+port+"\nallow 127.0.0.1\n")
	const why = "while this server has 127.0.0.1:"
	if code, _, errs := ctl(socket, "reload", "--dry-run"); code != 1 || !strings.Contains(errs, why) {
		t.Errorf("dry run: status %d, %s", code, errs)
	}
	if code, _, errs := ctl(socket, "reload"); code != 1 || !strings.Contains(errs, why) {
		t.Errorf("reload: status %d, %s", code, errs)
	}
	mustDial(t, "127.0.0.1:"+port).mustAsk(t, "still here")
}
