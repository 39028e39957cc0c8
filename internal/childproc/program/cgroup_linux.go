package program

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A group is the control group of one program.
type group struct {
	dir string
	fd  int // of dir, until the program runs
}

// check returns why there can be no groups in the directory.
func (c *Cgroup) check() error {
	if c.Parent == "" {
		return nil
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(c.Parent, &fs); err != nil {
		return fmt.Errorf("control group: %s: %w", c.Parent, err)
	}
	if fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return fmt.Errorf("control group: %s is not a directory of cgroup v2, which is mounted at /sys/fs/cgroup or /sys/fs/cgroup/unified", c.Parent)
	}
	return nil
}

// groupPrefix begins the name of each group. Who has made it follows.
const groupPrefix = "program-"

// groupOwner names a process of this process's own pid namespace.
func groupOwner(pid int) string {
	ns, _ := os.Readlink("/proc/self/ns/pid")
	number := strings.Trim(strings.TrimPrefix(ns, "pid:"), "[]")
	return fmt.Sprintf("%s.%d", number, pid)
}

// sweep ends and removes the groups of processes that were killed, and so could
// not do it.
func (c *Cgroup) sweep() {
	names, _ := filepath.Glob(filepath.Join(c.Parent, groupPrefix+"*"))
	for _, dir := range names {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), groupPrefix), "-")
		_, number, _ := strings.Cut(owner, ".")
		pid, err := strconv.Atoi(number)
		if err != nil || pid <= 0 || owner != groupOwner(pid) || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		if g := (&group{dir: dir, fd: -1}); !g.empty() {
			g.kill()
			g.removeIn(sweepEnd)
		}
	}
}

// sweepEnd bounds how long a start waits for the processes of a killed group.
const sweepEnd = time.Second

// make makes a group, empty and with its limits.
func (c *Cgroup) make() (*group, error) {
	if c.Parent == "" {
		return nil, nil
	}
	dir, err := os.MkdirTemp(c.Parent, groupPrefix+groupOwner(os.Getpid())+"-")
	if err != nil {
		return nil, fmt.Errorf("control group: %w", err)
	}
	g := &group{dir: dir, fd: -1}
	for _, f := range c.files() {
		if err := g.write(f[0], f[1]); err != nil {
			g.remove()
			if errors.Is(err, fs.ErrNotExist) {
				controller, _, _ := strings.Cut(f[0], ".")
				return nil, fmt.Errorf("control group: %s has no controller %s for its groups: it must be in its cgroup.subtree_control", c.Parent, controller)
			}
			return nil, fmt.Errorf("control group: %w", err)
		}
	}
	if g.fd, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		g.remove()
		return nil, fmt.Errorf("control group: %w", &fs.PathError{Op: "open", Path: dir, Err: err})
	}
	return g, nil
}

// write writes to a file of the group, which is there if its controller is.
func (g *group) write(name, value string) error {
	f, err := os.OpenFile(filepath.Join(g.dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// join has the program begin in the group.
func (g *group) join(attr *syscall.SysProcAttr) {
	if g != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, g.fd
	}
}

// started forgets what only a start needs.
func (g *group) started() {
	if g != nil {
		unix.Close(g.fd)
	}
}

// kill ends every process of the group, also those that have left the program's
// process group.
func (g *group) kill() {
	if g != nil {
		g.write("cgroup.kill", "1")
	}
}

// groupEnd bounds how long the processes of a killed group take to end, which is
// when it can be removed.
const groupEnd = 10 * time.Second

// empty removes the group and reports true, unless processes of it have still to
// end.
func (g *group) empty() bool { return g == nil || syscall.Rmdir(g.dir) != syscall.EBUSY }

// remove removes the group once its processes have ended.
func (g *group) remove() { g.removeIn(groupEnd) }

func (g *group) removeIn(d time.Duration) {
	for end := time.Now().Add(d); !g.empty() && time.Now().Before(end); {
		time.Sleep(groupProbe / 4)
	}
}
