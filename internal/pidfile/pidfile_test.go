package pidfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestPIDFile(t *testing.T) {
	sleeper := start(t, "sleep")
	defer sleeper.Wait()
	defer sleeper.Kill()
	for _, tc := range []struct {
		name, content string
		absent        bool
		age           time.Duration
		want          string // of the error
	}{
		{name: "absent", absent: true},
		{name: "empty and old", age: 15 * time.Minute},
		{name: "empty and young", age: time.Minute, want: "is empty, and too young"},
		{name: "no number", content: "hello\n", want: "holds no process number"},
		{name: "our own", content: fmt.Sprintf("%d\n", os.Getpid())},
		{name: "runs", content: fmt.Sprintf("%d\n", sleeper.Pid()), want: "already running as process"},
		{name: "number used again", content: fmt.Sprintf("%d\n", sleeper.Pid()), age: time.Hour},
		{name: "does not run", content: "4194305\n"},
		{name: "longer number", content: "123456789012345\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.name == "number used again" && runtime.GOOS != "linux" {
				t.Skip("not known here")
			}
			path := filepath.Join(t.TempDir(), "pid")
			if !tc.absent {
				if err := os.WriteFile(path, []byte(tc.content), 0o644); err != nil {
					t.Fatal(err)
				}
				if tc.age > 0 {
					when := time.Now().Add(-tc.age)
					os.Chtimes(path, when, when)
				}
			}
			p, err := Create(path)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error: %v", err)
				}
				if b, _ := os.ReadFile(path); string(b) != tc.content {
					t.Errorf("changed to %q", b)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := os.ReadFile(path); string(b) != fmt.Sprintf("%d\n", os.Getpid()) {
				t.Errorf("holds %q", b)
			}
			if _, err := Create(path); !errors.Is(err, ErrRunning) {
				t.Errorf("a second one: %v", err)
			}
			if err := p.Remove(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("not removed")
			}
		})
	}
}

func TestPIDFileRemovesItsOwnAlone(t *testing.T) {
	for _, replace := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "pid")
		p, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if replace {
			os.Remove(path)
		}
		if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := p.Remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("replaced %v: another's file was removed", replace)
		}
	}
}

func TestPIDFileFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, "pid")); err != nil {
		t.Skip(err)
	}
	if _, err := Create(filepath.Join(dir, "pid")); err == nil {
		t.Error("wrote through a link")
	}
}
