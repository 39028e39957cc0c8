package pidfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/internal/proc"
)

// A server that was killed, and that its parent has not reaped yet, runs no more.
func TestPIDFileOfAProcessThatIsNotReaped(t *testing.T) {
	dead := start(t, "sleep")
	defer dead.Wait()
	path := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n", dead.Pid()), 0o644); err != nil {
		t.Fatal(err)
	}
	dead.Kill()
	for end := time.Now().Add(10 * time.Second); !proc.Ended(dead.Pid()) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if unix.Kill(dead.Pid(), 0) != nil {
		t.Fatal("it was reaped")
	}
	p, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	p.Remove()
}

// Whoever may only read the file cannot keep a server from starting, by no
// kind of lock, nor end the one that runs.
func TestPIDFileLockedByAReader(t *testing.T) {
	locks := map[string]func(fd int) error{
		"flock": func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) },
		"shared": func(fd int) error {
			return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK})
		},
		"one byte": func(fd int) error {
			return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: 1 << 20, Len: 1})
		},
	}
	for name, lock := range locks {
		for _, content := range []string{"4194305\n", ""} {
			path := filepath.Join(t.TempDir(), "pid")
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			reader, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if err := lock(int(reader.Fd())); err != nil {
				t.Fatal(err)
			}
			p, err := Create(path)
			if err != nil {
				t.Errorf("%s, %q: %v", name, content, err)
				continue
			}
			if b, _ := os.ReadFile(path); string(b) != fmt.Sprintf("%d\n", os.Getpid()) {
				t.Errorf("%s: holds %q", name, b)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
			if name != "flock" && !strings.Contains(p.Note(), "no server") {
				t.Errorf("%s: note %q", name, p.Note())
			}
			// The server's own cannot be taken.
			again, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if err := lock(int(again.Fd())); name != "flock" && err == nil {
				t.Errorf("%s: a reader got a lock beside the server's", name)
			}
			if _, err := Create(path); !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), "locked") {
				t.Errorf("%s: a second server: %v", name, err)
			}
			if err := p.Remove(); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		}
	}
	// A process that the file names and that runs stays the server.
	sleeper := start(t, "sleep")
	defer sleeper.Wait()
	defer sleeper.Kill()
	path := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n", sleeper.Pid()), 0o644); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	os.Chtimes(path, now, now)
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := locks["shared"](int(reader.Fd())); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(path); !errors.Is(err, ErrRunning) {
		t.Errorf("the file's process runs: %v", err)
	}
}

// Root makes no pid file where others could have it follow them.
func TestPIDFilePlanted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("for root")
	}
	base := t.TempDir()
	theirs := filepath.Join(base, "theirs")
	secret := filepath.Join(base, "secret")
	err := errors.Join(os.MkdirAll(filepath.Join(theirs, "sub"), 0o755), os.Chown(theirs, 12345, 12345), os.WriteFile(secret, nil, 0o600),
		os.Symlink(secret, filepath.Join(theirs, "link")), os.Link(secret, filepath.Join(theirs, "hard")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"link": "symbolic link", "hard": "has 2 names", "sub/pid": "belongs to user 12345, so it could be redirected",
	} {
		p, err := Create(filepath.Join(theirs, name))
		if err == nil {
			p.Remove()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if b, _ := os.ReadFile(secret); len(b) != 0 {
		t.Errorf("another file has %q", b)
	}
	p, err := Create(filepath.Join(theirs, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	p.Remove()
}
