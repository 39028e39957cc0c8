//go:build unix

package daemon_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"netserver/internal/control"
	"netserver/netservertest"
)

func targetsBy(t *testing.T, socket string, args ...string) map[string]control.Target {
	t.Helper()
	var list control.Targets
	askAll(t, socket, &list, append([]string{"targets"}, args...)...)
	m := make(map[string]control.Target)
	for _, x := range list.Targets {
		m[x.Backend+" "+x.Address] = x
	}
	return m
}

// The targets of backends are listed, added, drained and removed, in all
// workers.
func TestCtlTargets(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		dir := openDir(t)
		a, b, c := listener(t, "127.0.0.1:0", "a"), listener(t, "127.0.0.1:0", "b"), listener(t, "127.0.0.1:0", "c")
		file := writeFile(t, filepath.Join(dir, "f.toml"), fmt.Sprintf(`
[[backend]]
name = "ab"
targets = [%q, %q]
check = "tcp"
check_interval = 0.05
check_timeout = 20
[[backend]]
name = "other"
targets = %q
[[listen]]
port = %q
backend = "ab"
[[listen]]
port = %q
backend = "other"
`, a.Addr(), b.Addr().String()+" max=9", c.Addr(), dir+"/1|unix", dir+"/2|unix"))
		args := []string{"--conf_file", file, "--user", "root", "--supervisor", supervisor}
		processes := 1
		if supervisor == "1" {
			args, processes = append([]string{"PreFork"}, append(args, "--min_servers", "2", "--max_servers", "2")...), 2
		}
		_, socket := startCtl(t, args...)
		at := func(backend string, x fmt.Stringer) string { return backend + " " + x.String() }
		netservertest.Eventually(t, "all processes have checked", func() bool {
			x := targetsBy(t, socket)[at("ab", a.Addr())]
			return x.Processes == processes && x.Check == "ok"
		})
		if got := said(t, dir+"/1", "") + said(t, dir+"/1", ""); len(got) != 2 {
			t.Errorf("%q", got)
		}
		list := targetsBy(t, socket)
		if x := list[at("ab", b.Addr())]; len(list) != 3 || x.State != "up" || x.Up != processes || x.Max != 9 || x.Target != b.Addr().String() || x.Weight != 1 {
			t.Errorf("%+v", list)
		}
		if list := targetsBy(t, socket, "other"); len(list) != 1 {
			t.Errorf("%+v", list)
		}
		var done control.TargetChanged
		mustCtl(t, socket, &done, "targets", "drain", "ab", a.Addr().String())
		if done.Processes != processes || done.Change != "drain" {
			t.Errorf("%+v", done)
		}
		for range 2 * processes {
			if got := said(t, dir+"/1", ""); got != "b" {
				t.Errorf("%q", got)
			}
		}
		mustCtl(t, socket, nil, "targets", "add", "ab", c.Addr().String(), "weight=2")
		mustCtl(t, socket, nil, "targets", "remove", "ab", b.Addr().String())
		list = targetsBy(t, socket, "ab")
		if x := list[at("ab", c.Addr())]; len(list) != 2 || x.Weight != 2 || list[at("ab", a.Addr())].State != "drained" {
			t.Errorf("%+v", list)
		}
		if got := said(t, dir+"/1", ""); got != "c" {
			t.Errorf("%q", got)
		}
		for _, bad := range []struct{ args, want string }{
			{"add nothing 127.0.0.1:9", `there is no [[backend]] named "nothing"`},
			{"add ab nowhere", "target nowhere: missing port"},
			{"drain ab 127.0.0.1:9", "backend ab has no target 127.0.0.1:9"},
			{"add ab " + c.Addr().String(), "has target " + c.Addr().String() + " already"},
		} {
			code, _, errs := ctl(socket, append([]string{"targets"}, strings.Fields(bad.args)...)...)
			if code != 1 || !strings.Contains(errs, bad.want) {
				t.Errorf("%s: exit status %d: %s", bad.args, code, errs)
			}
		}
		if code, out, _ := ctl(socket, "targets"); code != 0 || !strings.Contains(out, "BACKEND") || !strings.Contains(out, "drained") {
			t.Errorf("exit status %d: %s", code, out)
		}
	})
}

// A worker that takes another's place knows what was changed before; after a
// reload the configuration counts.
func TestCtlTargetsOfLaterWorkers(t *testing.T) {
	dir := openDir(t)
	a, b := listener(t, "127.0.0.1:0", "a"), listener(t, "127.0.0.1:0", "b")
	file := writeFile(t, filepath.Join(dir, "f.toml"), fmt.Sprintf("[[backend]]\nname = 'ab'\ntargets = [%q, %q]\n[[listen]]\nport = %q\nbackend = 'ab'\n", a.Addr(), b.Addr(), dir+"/1|unix"))
	r, socket := startCtl(t, "--conf_file", file, "--user", "root")
	mustCtl(t, socket, nil, "targets", "drain", "ab", a.Addr().String())
	before := r.only()
	syscall.Kill(before, syscall.SIGKILL)
	netservertest.Eventually(t, "another worker has it drained", func() bool {
		st := statusBy(t, socket)
		return len(st.Generations) == 1 && len(st.Generations[0].Workers) == 1 && st.Generations[0].Workers[0].PID != before &&
			targetsBy(t, socket)["ab "+a.Addr().String()].State == "drained"
	})
	for range 3 {
		if got := said(t, dir+"/1", ""); got != "b" {
			t.Errorf("%q", got)
		}
	}
	mustCtl(t, socket, nil, "reload")
	netservertest.Eventually(t, "the configuration counts", func() bool {
		x := targetsBy(t, socket)["ab "+a.Addr().String()]
		return x.State == "up" && x.Processes == x.Up
	})
}

// The targets of proxy_to are listed as well, each once, and stay as they are.
func TestCtlTargetsOfProxyTo(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		dir := openDir(t)
		a, b := listener(t, "127.0.0.1:0", "a"), listener(t, "127.0.0.1:0", "b")
		file := writeFile(t, filepath.Join(dir, "f.toml"), fmt.Sprintf("[[listen]]\nport = %q\nproxy_to = %q\n[[listen]]\nport = %q\n[[listen.route]]\nproxy_to = %q\n[[listen]]\nport = %q\nproxy_to = %q\n",
			dir+"/1|unix", a.Addr(), dir+"/2|unix", a.Addr(), dir+"/3|unix", b.Addr()))
		_, socket := startCtl(t, "--conf_file", file, "--user", "root", "--supervisor", supervisor)
		if got := said(t, dir+"/1", "") + said(t, dir+"/2", "") + said(t, dir+"/3", ""); got != "aab" {
			t.Errorf("%q", got)
		}
		list := targetsBy(t, socket)
		x, y := list["proxy_to "+a.Addr().String()], list["proxy_to "+b.Addr().String()]
		if len(list) != 2 || x.Connected != 2 || y.Connected != 1 || x.Processes != 1 || x.State != "up" {
			t.Errorf("%+v", list)
		}
		if code, _, errs := ctl(socket, "targets", "drain", "proxy_to", a.Addr().String()); code != 1 || !strings.Contains(errs, "write them as a [[backend]]") {
			t.Errorf("exit status %d: %s", code, errs)
		}
	})
}
