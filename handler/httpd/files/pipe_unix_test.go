//go:build unix

package files_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"netserver/handler/httpd/files"
)

// TestNamedPipes are not opened: that would wait for whoever writes to them.
func TestNamedPipes(t *testing.T) {
	dir := tree(t)
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666); err != nil {
		t.Skip(err)
	}
	h := &files.Handler{Dir: dir}
	defer h.Close()
	if res := ask(h, "GET", "/pipe"); res.StatusCode != 404 {
		t.Errorf("%v", res)
	}
}
