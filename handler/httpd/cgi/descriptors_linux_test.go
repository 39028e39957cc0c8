package cgi_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"netserver/handler/httpd/cgi"
	"netserver/netservertest"
)

// TestDescriptors: nothing of a request stays open after it, however it ends.
func TestDescriptors(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the collector closes files, too
	gone := filepath.Join(t.TempDir(), "gone")
	if err := os.WriteFile(gone, []byte("#!/nowhere\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, stderr := range []string{"log", "client", "drop", "inherit"} {
		for _, path := range []string{script(t, "printf 'Content-Type: x/y\\n\\nz'").Path, script(t, "echo; exit 1").Path, gone} {
			h := &cgi.Handler{Path: path, Stderr: stderr}
			ask := func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)) }
			ask() // what is opened once
			before := descriptors(t)
			for range 10 {
				ask()
			}
			netservertest.Eventually(t, stderr+": the descriptors of "+path, func() bool { return descriptors(t) <= before+2 })
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
