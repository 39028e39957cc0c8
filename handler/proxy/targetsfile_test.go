package proxy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"netserver/handler/proxy"
	"netserver/netservertest"
)

// replaceFile writes a file as programs that know how do it.
func replaceFile(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path+".new", []byte(text), 0o644))
	must(t, os.Rename(path+".new", path))
}

// A file of targets is followed; a version with a mistake, or that may be half
// written, changes nothing and is said once.
func TestTargetsFile(t *testing.T) {
	a, b, c := startNamed(t, "a", false), startNamed(t, "b", false), startNamed(t, "c", false)
	path := filepath.Join(t.TempDir(), "targets")
	line := func(n *named) string { return targetOf(n.l) + "\n" }
	replaceFile(t, path, "# the targets\n\n"+line(a))
	var log lines
	be := &proxy.Backend{Name: "x", TargetsFile: path, Log: log.log()}
	f := frontOf(t, be)
	if got := f.names(t, 2); got != "aa" {
		t.Errorf("got %s", got)
	}
	held := f.dial(t)
	want(t, held, "a")
	replaceFile(t, path, line(b)+targetOf(c.l)+" weight=3\n")
	netservertest.Eventually(t, "the new targets", func() bool { return stateOf(be, targetOf(c.l)).Weight == 3 })
	if got := f.names(t, 8); strings.Count(got, "b") != 2 || strings.Count(got, "c") != 6 {
		t.Errorf("got %s", got)
	}
	send(t, held, "still there")
	now := addressesOf(be)
	for i, bad := range []struct{ text, err string }{
		{line(a) + line(a) + line(b), "the target is given twice"},
		{line(a) + "nonsense\n", "target nonsense: "},
		{"", "is empty now, and held 2 targets"},
		{line(a) + targetOf(b.l), "may be half written"},
	} {
		replaceFile(t, path, bad.text)
		netservertest.Eventually(t, bad.err, func() bool { return log.count("new targets rejected") == i+1 && log.count(bad.err) == 1 })
		if got := addressesOf(be); !slices.Equal(got, now) {
			t.Errorf("%s: the targets are %v", bad.err, got)
		}
	}
	must(t, os.Remove(path))
	netservertest.Eventually(t, "that the file is gone", func() bool { return log.count("no such file") == 1 })
	replaceFile(t, path, "# none\n")
	netservertest.Eventually(t, "no targets", func() bool { return len(be.List()) == 0 })
	f.visit(t)
	wantRecord(t, f, "no target of backend x is up")
	held.Close()
	replaceFile(t, path, line(a))
	netservertest.Eventually(t, "one target", func() bool { return len(be.List()) == 1 })
	f.record(t)
	if got := f.names(t, 1); got != "a" {
		t.Errorf("got %s", got)
	}
}

// What is known of a target is kept while others come and go.
func TestTargetsFileKeepsWhatIsKnown(t *testing.T) {
	a := startNamed(t, "a", false)
	dead := deadAddress(t)
	path := filepath.Join(t.TempDir(), "targets")
	replaceFile(t, path, dead+"\n"+targetOf(a.l)+"\n")
	be := &proxy.Backend{TargetsFile: path}
	f := frontOf(t, be)
	f.names(t, 4)
	b := startNamed(t, "b", false)
	replaceFile(t, path, targetOf(b.l)+"\n"+dead+" weight=2\n"+targetOf(a.l)+"\n")
	awaitState(t, be, targetOf(b.l), "up")
	if s := stateOf(be, dead); s.State != "down" || s.Failed == 0 || s.Weight != 2 {
		t.Errorf("the dead target: %+v", s)
	}
	if s := stateOf(be, targetOf(a.l)); s.Total != 4 {
		t.Errorf("the good one: %+v", s)
	}
}

func TestBadTargetsFiles(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	must(t, os.WriteFile(big, []byte(strings.Repeat("#\n", 1<<20)), 0o644))
	many := filepath.Join(dir, "many")
	var text strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&text, "127.0.0.1:%d\n", i+1)
	}
	must(t, os.WriteFile(many, []byte(text.String()), 0o644))
	bad := filepath.Join(dir, "bad")
	must(t, os.WriteFile(bad, []byte("127.0.0.1:1\n127.0.0.1:2 max=x\n"), 0o644))
	for path, want := range map[string]string{
		dir:  "is not a regular file",
		big:  "is larger than 1 MiB",
		many: "has more than 4096 targets",
		bad:  "target 127.0.0.1:2 max=x: max=x: it must be a number from 1 to 1048576 (" + bad + ":2)",
	} {
		be := &proxy.Backend{Name: "x", TargetsFile: path}
		if err := (&proxy.Handler{Backend: be}).Check(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "backend x: ") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

// A Backend may be told so before it has had any client, and while Run begins.
func TestDrainAndRemoveFirst(t *testing.T) {
	for name, do := range map[string]func(*proxy.Backend, string) error{"drained": (*proxy.Backend).Drain, "": (*proxy.Backend).Remove} {
		a, b := startNamed(t, "a", false), startNamed(t, "b", false)
		be := &proxy.Backend{Targets: targetsOf(a, b)}
		running(t, be)
		must(t, do(be, targetOf(a.l)))
		if s := stateOf(be, targetOf(a.l)).State; s != name {
			t.Errorf("the state is %q, want %q", s, name)
		}
		if got := frontOf(t, be).names(t, 3); got != "bbb" {
			t.Errorf("got %s", got)
		}
	}
}

func TestAddDrainRemove(t *testing.T) {
	a, b := startNamed(t, "a", false), startNamed(t, "b", false)
	be := &proxy.Backend{Name: "x", Targets: targetsOf(a)}
	f := frontOf(t, be)
	if got := f.names(t, 2); got != "aa" {
		t.Errorf("got %s", got)
	}
	must(t, be.Add(b.target()))
	if err := be.Add(b.target()); err == nil || err.Error() != "backend x has target "+targetOf(b.l)+" already" {
		t.Errorf("again: %v", err)
	}
	if err := be.Add(proxy.Target{Address: "nowhere"}); err == nil || !strings.HasPrefix(err.Error(), "target nowhere: missing port") {
		t.Errorf("nonsense: %v", err)
	}
	if got := f.names(t, 4); strings.Count(got, "b") != 2 {
		t.Errorf("with both: %s", got)
	}
	held := f.dial(t)
	must(t, readByte(held))
	must(t, be.Drain(targetOf(a.l)))
	must(t, be.Drain(targetOf(b.l)))
	for _, l := range be.List() {
		if l.State != "drained" {
			t.Errorf("state: %+v", l)
		}
	}
	f.visit(t)
	wantRecord(t, f, fmt.Sprintf("no target of backend x is up: %s: drained; %s: drained", targetOf(a.l), targetOf(b.l)))
	send(t, held, "I am still served")
	must(t, be.Add(a.target()))
	if got := f.names(t, 2); got != "aa" {
		t.Errorf("with one back: %s", got)
	}
	must(t, be.Remove(targetOf(b.l)))
	if err := be.Remove(targetOf(b.l)); err == nil || err.Error() != "backend x has no target "+targetOf(b.l) {
		t.Errorf("again: %v", err)
	}
	if err := be.Drain("127.0.0.1:1"); err == nil {
		t.Error("an unknown target can be drained")
	}
	if got := addressesOf(be); !slices.Equal(got, []string{targetOf(a.l)}) {
		t.Errorf("the rest is %v", got)
	}
	must(t, be.Add(b.target()))
	awaitState(t, be, targetOf(b.l), "up")
	held.Close()
}
