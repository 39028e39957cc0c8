package daemon_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// spareConf writes a configuration whose program answers with word.
func spareConf(t *testing.T, name, word string, spare int) string {
	return writeFile(t, name, fmt.Sprintf(`program = ["/bin/sh", "-c", "while read x; do echo $0 $x; done", "%s"]
[[listen]]
port = "127.0.0.1:0"
exec_spare = %d
`, word, spare))
}

// say sends a line to a program of spareConf and returns which one answers.
func say(t *testing.T, c *client, line string) (word string) {
	t.Helper()
	fmt.Fprintln(c, line)
	got, err := c.r.ReadString('\n')
	word, rest, _ := strings.Cut(strings.TrimSpace(got), " ")
	if err != nil || rest != line {
		t.Fatalf("%q, %v", got, err)
	}
	return word
}

// waitWith waits until n processes have a word among their arguments.
func waitWith(t *testing.T, word string, n int) {
	t.Helper()
	netservertest.Eventually(t, fmt.Sprintf("%d programs run", n), func() bool { return len(processesWith(word)) == n })
}

// A reload that changes the command ends the spare programs of the old one,
// which no client gets any more, and no client's program.
func TestReloadReplacesSparePrograms(t *testing.T) {
	one, two := sleepFor(), sleepFor()
	file := spareConf(t, filepath.Join(t.TempDir(), "netserver.toml"), one, 3)
	r := start(t, "--conf_file", file)
	addr := r.addr(0)
	waitWith(t, one, 3)
	old := mustDial(t, addr)
	if got := say(t, old, "a"); got != one {
		t.Fatalf("%q", got)
	}
	waitWith(t, one, 4)
	spareConf(t, file, two, 2)
	r.signal(syscall.SIGHUP)
	waitWith(t, two, 2)
	waitWith(t, one, 1)
	// For a moment the old generation still takes clients whom the kernel has
	// queued for it.
	netservertest.Eventually(t, "a client of the new generation", func() bool {
		return say(t, mustDial(t, addr), "b") == two
	})
	if got := say(t, old, "c"); got != one {
		t.Errorf("the old client got %q", got)
	}
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("status %d", code)
	}
	waitWith(t, one, 0)
	waitWith(t, two, 0)
}

// Spare programs end with their worker, however it ends, and the next one has
// its own.
func TestSpareProgramsOfAKilledWorker(t *testing.T) {
	word := sleepFor()
	r := start(t, "--conf_file", spareConf(t, filepath.Join(t.TempDir(), "netserver.toml"), word, 3))
	addr := r.addr(0)
	waitWith(t, word, 3)
	old := processesWith(word)
	worker := r.only()
	syscall.Kill(worker, syscall.SIGKILL)
	r.only(worker)
	netservertest.Eventually(t, "the worker's programs end", func() bool { return !slices.ContainsFunc(old, alive) })
	waitWith(t, word, 3)
	if got := say(t, mustDial(t, addr), "x"); got != word {
		t.Errorf("%q", got)
	}
	netservertest.Eventually(t, "no zombies", func() bool { return zombiesOf(t, r.pid()) == 0 })
}

// Each process of PreFork has spare programs, and so has a server without a
// supervisor.
func TestSparePrograms(t *testing.T) {
	word, dir := sleepFor(), t.TempDir()
	r := start(t, "PreForkSimple", "--max_servers", "2", "--conf_file", spareConf(t, filepath.Join(dir, "two.toml"), word, 2))
	waitWith(t, word, 4)
	c := mustDial(t, r.addr(0))
	if got := say(t, c, "hello"); got != word {
		t.Errorf("%q", got)
	}
	waitWith(t, word, 5)
	other := sleepFor()
	r = start(t, "--supervisor", "0", "--conf_file", spareConf(t, filepath.Join(dir, "one.toml"), other, 2))
	waitWith(t, other, 2)
	if code := r.end(syscall.SIGTERM); code != 0 {
		t.Errorf("status %d", code)
	}
	waitWith(t, other, 0)
}
