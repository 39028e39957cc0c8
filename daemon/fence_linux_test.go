package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"netserver/conf"
)

// Fence puts what an echo's workers are under in force for this process.
func Fence(read ...string) (string, error) { return restrictFiles(fence{read: read}) }

// Landlock has rules for files, and none for pipes without a name.
func TestRuledFiles(t *testing.T) {
	ruled, err := newRuledFiles()
	if err != nil {
		t.Skip(err)
	}
	defer ruled.close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for path, want := range map[string]bool{
		t.TempDir(): true, os.Args[0]: true, "/dev/null": true,
		fmt.Sprintf("/proc/self/fd/%d", r.Fd()): false,
	} {
		if got := ruled.has(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// Workers cannot read what only the supervisor opens, nor what lies beside it.
func TestSupervisorsFilesAreNotWorkers(t *testing.T) {
	logs, rules := t.TempDir(), t.TempDir()
	v := conf.Values{}
	for key, path := range map[string]string{
		"log_file": filepath.Join(logs, "log"), "pid_file": filepath.Join(logs, "pid"),
		"control_socket": filepath.Join(logs, "ctl"), "deny_file": filepath.Join(rules, "deny"),
	} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		v.Set(key, path)
	}
	got := fmt.Sprint((&plan{Values: v}).paths())
	if want := fmt.Sprint([]string{rules, filepath.Join(rules, "deny")}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
