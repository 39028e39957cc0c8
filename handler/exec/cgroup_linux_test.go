package exec_test

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/handler/exec"
)

// delegated returns an empty group in which tests may make others, with the
// controllers that are there, by name.
func delegated(t *testing.T) (dir, controllers string) {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		dir, err := os.MkdirTemp(root, "netserver-test-")
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() {
			if err := unix.Rmdir(dir); err != nil {
				t.Errorf("groups are left: %v", err)
			}
		})
		b, _ := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
		for _, c := range strings.Fields(string(b)) {
			os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0)
		}
		b, _ = os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
		return dir, string(b)
	}
	t.Skip("no cgroup v2 that this process may use")
	return "", ""
}

// A program begins in a group of its own, which ends with it, and with it what
// has left its process group.
func TestCgroup(t *testing.T) {
	dir, _ := delegated(t)
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := sh(`cat /proc/self/cgroup; setsid sh -c 'trap "" TERM HUP; echo $$; exec >&- 2>&- <&-; sleep 1000' & read x`)
		h.Cgroup.Parent, h.Pipes, h.Limits.Files = dir, pipes, 50
		s := serve(t, h)
		c := s.dial(proto)
		buf := make([]byte, 4096)
		var out string
		for !strings.HasSuffix(out, "\n") || strings.Contains(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:], ":") {
			n, err := c.Read(buf)
			if out += string(buf[:n]); err != nil {
				t.Fatalf("%q: %v", out, err)
			}
		}
		if !strings.Contains(out, "0::/") || !strings.Contains(out, filepath.Base(dir)+"/program-") {
			t.Errorf("the program's group: %s", out)
		}
		pid := readPid(t, strings.NewReader(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]))
		if !alive(pid) {
			t.Error("what it has started is not there")
		}
		c.Write([]byte("end\n"))
		s.record()
		eventually(t, "what the program has left ends", func() bool { return !alive(pid) })
		eventually(t, "the group is removed", func() bool { return len(groups(dir)) == 0 })
	})
}

func groups(dir string) []string {
	list, _ := filepath.Glob(filepath.Join(dir, "program-*"))
	return list
}

// A client that leaves takes the whole group along.
func TestCgroupIsKilled(t *testing.T) {
	dir, _ := delegated(t)
	h := sh(`trap "" TERM; setsid sh -c 'trap "" TERM; echo $$; while :; do sleep 0.05; done'`)
	h.Cgroup.Parent, h.KillGrace = dir, 100*time.Millisecond
	s := serve(t, h)
	c := s.dial("tls")
	pid := readPid(t, c)
	reset(t, c)
	s.record()
	eventually(t, "the group ends", func() bool { return !alive(pid) && len(groups(dir)) == 0 })
}

// The groups of a server that was killed end at the next start, with what is in
// them, and no others.
func TestCgroupsOfKilledServer(t *testing.T) {
	dir, _ := delegated(t)
	dead := osexec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	ns, _ := os.Readlink("/proc/self/ns/pid")
	here := strings.Trim(strings.TrimPrefix(ns, "pid:"), "[]")
	left := filepath.Join(dir, fmt.Sprintf("program-%s.%d-1", here, dead.Process.Pid))
	kept := []string{
		filepath.Join(dir, fmt.Sprintf("program-%s.%d-2", here, os.Getpid())),
		filepath.Join(dir, fmt.Sprintf("program-1%s.%d-3", here, dead.Process.Pid)), // another pid namespace
		filepath.Join(dir, "program-other"),
	}
	for _, g := range append([]string{left}, kept...) {
		if err := os.Mkdir(g, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in := osexec.Command("sleep", "1000")
	if err := in.Start(); err != nil {
		t.Fatal(err)
	}
	defer in.Process.Kill()
	if err := os.WriteFile(filepath.Join(left, "cgroup.procs"), []byte(strconv.Itoa(in.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	h := sh("true")
	h.Cgroup.Parent = dir
	if err := h.Check(); err != nil {
		t.Fatal(err)
	}
	if err := in.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("what was in the group: %v", err)
	}
	eventually(t, "the group is removed", func() bool { return len(groups(dir)) == len(kept) })
	for _, g := range kept {
		if err := unix.Rmdir(g); err != nil {
			t.Error(err)
		}
	}
}

// Limits are the kernel's where their controllers are, and refused elsewhere.
func TestCgroupLimits(t *testing.T) {
	dir, controllers := delegated(t)
	for name, tt := range map[string]struct {
		g          exec.Cgroup
		file, want string
	}{
		"memory": {exec.Cgroup{Memory: 64 << 20}, "memory.max", "67108864\n"},
		"cpu":    {exec.Cgroup{CPU: 150}, "cpu.max", "150000 100000\n"},
		"pids":   {exec.Cgroup{Processes: 20}, "pids.max", "20\n"},
	} {
		h := sh(`cat "$0$(sed -n 's/^0:://p' /proc/self/cgroup | sed 's,.*/,/,')/$1"`)
		h.Args, h.Cgroup = append(h.Args, dir, tt.file), tt.g
		h.Cgroup.Parent = dir
		if !strings.Contains(controllers, name) {
			want := "exec: sh: control group: " + dir + " has no controller " + name + " for its groups: it must be in its cgroup.subtree_control"
			if err := h.Check(); err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			continue
		}
		if got := serve(t, h).run("tls", ""); got != tt.want {
			t.Errorf("%s is %q", tt.file, got)
		}
	}
}

func TestCheckOfCgroups(t *testing.T) {
	for _, c := range []struct {
		g    exec.Cgroup
		want string
	}{
		{exec.Cgroup{Memory: 1 << 20}, "exec: control group: its limits are positive, and need a parent"},
		{exec.Cgroup{Parent: "/sys", CPU: -1}, "exec: control group: its limits are positive, and need a parent"},
		{exec.Cgroup{Parent: "/no/such"}, "exec: cat: control group: "},
	} {
		h := &exec.Handler{Path: "cat", Cgroup: c.g}
		if err := h.Check(); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}
