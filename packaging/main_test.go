package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"netserver/netservertest"
)

// published is release 1.2.3 for this machine, which is built when the first
// test wants it.
var published struct {
	once sync.Once
	dir  string
	err  error
}

// built is the command, which is built when the first test wants it.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	status := netservertest.Main(m)
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	if published.dir != "" {
		os.RemoveAll(published.dir)
	}
	os.Exit(status)
}

// command returns the path of the command, as packages build it. Everybody can
// execute it.
func command(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "netserver-packaging-"); built.err != nil {
			return
		}
		if built.err = os.Chmod(built.dir, 0o755); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(built.dir, "netserver"), "../cmd/netserver")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "netserver")
}

// rooted skips a test unless this is root on Linux.
func rooted(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs root on Linux")
	}
}

// setting returns the value of a unit's setting, of all its lines.
func setting(t *testing.T, unit, name string) []string {
	t.Helper()
	b, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			values = append(values, strings.Fields(v)...)
		}
	}
	return values
}
