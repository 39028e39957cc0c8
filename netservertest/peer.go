package netservertest

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// Peer returns the path of a program that the test talks to. If the program is
// missing the test is skipped; with CI=true in the environment it fails.
func Peer(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name, err)
	}
	return path
}

// PerlModule returns the path of a perl that has the modules. If perl or one
// of them is missing the test is skipped; with CI=true it fails.
func PerlModule(t testing.TB, modules ...string) string {
	t.Helper()
	perl := Peer(t, "perl")
	for _, m := range modules {
		if err := exec.Command(perl, "-M"+m, "-e", "1").Run(); err != nil {
			missing(t, "Perl's "+m, err)
		}
	}
	return perl
}

func missing(t testing.TB, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and nothing may be missing in CI: %v", what, err)
	}
	t.Skipf("%s is missing: %v", what, err)
}

// patience returns how long a test waits for what should happen at once: half
// a minute, as a loaded machine may need seconds, or an eighth of what is left
// of the binary's time, so that several can fail before that is over.
func patience(t testing.TB) time.Duration {
	const most = 30 * time.Second
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if end, ok := d.Deadline(); ok {
			return max(min(most, time.Until(end)/8), time.Millisecond)
		}
	}
	return most
}

// Eventually waits until ok returns true, asking again and again, and fails
// the test when that takes longer than half a minute. It is for what sends no
// event: another process's file, a kernel's counter.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := patience(t)
	if !settles(ok, limit) {
		t.Fatalf("not within %v: %s", limit, what)
	}
}

// settles polls ok, less and less often, until it is true or limit has passed.
func settles(ok func() bool, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	pause := time.Millisecond
	for !ok() {
		if time.Now().After(deadline) {
			return ok()
		}
		runtime.Gosched()
		time.Sleep(pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
	return true
}
