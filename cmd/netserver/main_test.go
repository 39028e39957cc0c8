package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"netserver/netservertest"
)

// binary is the command, built from this checkout; TestMain sets it. It has
// the race detector if the tests have it.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "netserver")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755) // tests run the command as another user, too
	}
	if err == nil {
		binary = filepath.Join(dir, "netserver")
		if runtime.GOOS == "windows" {
			binary += ".exe"
		}
		err = build(binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return netservertest.Main(m)
}

func build(to string) error {
	args := []string{"build", "-o", to}
	if raceEnabled {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
