package childproc

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"netserver/internal/descriptors"
	"netserver/internal/place"
)

// A Binary is the program file of this process or its successor, held so that
// every process started from it runs the same program, even if the file is
// replaced in between.
type Binary struct {
	name string // as it was found
	path string // what is executed
	file *os.File
}

// Self opens the program file of this process as it is now: if it has been
// replaced since the process was started, the new one. Close it when nothing
// more is to be started from it.
func Self() (*Binary, error) {
	name, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("childproc: the program's own file: %w", err)
	}
	return openBinary(name)
}

// Name returns the path of the file.
func (b *Binary) Name() string { return b.name }

// Same reports whether both are one file with one content.
func (b *Binary) Same(o *Binary) bool {
	if b.file == nil || o.file == nil {
		return false
	}
	x, err := b.file.Stat()
	y, yerr := o.file.Stat()
	return err == nil && yerr == nil && os.SameFile(x, y) && x.Size() == y.Size() && x.ModTime().Equal(y.ModTime())
}

// Close lets go of the file.
func (b *Binary) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// RoleVar names the environment variable that tells a started process its
// role. Its value is the role and the number of inherited files after the
// link.
const RoleVar = "NETSERVER__ROLE"

// A Start says how a process is to be started. It has a session of its own, and
// no controlling terminal.
type Start struct {
	Binary *Binary
	Role   string     // what Role returns there
	Args   []string   // with the name in front, as os.Args
	Env    []string   // as os.Environ
	Dir    string     // "" is this process's
	Files  []*os.File // what Role returns there; the caller closes them
	Stdin  *os.File   // nil is the null device; so are the two below
	Stdout *os.File
	Stderr *os.File
	// TakesFiles lets the process send files over its Link.
	TakesFiles bool
}

// A Child is a process that was started with a Link to it. Exactly one
// goroutine calls Wait.
type Child struct {
	Link *Link
	cmd  *exec.Cmd
}

// Start starts a process. The caller calls Wait and closes the Link.
func (s Start) Start() (*Child, error) {
	link, theirs, err := NewLink()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	if !s.TakesFiles {
		link.RefuseFiles()
	}
	null, err := descriptors.Null()
	if err != nil {
		link.Close()
		return nil, err
	}
	defer null.Close()
	cmd := &exec.Cmd{
		Args:       s.Args,
		Dir:        s.Dir,
		Env:        append(withoutRole(s.Env), fmt.Sprintf("%s=%s/%d", RoleVar, s.Role, len(s.Files))),
		ExtraFiles: append([]*os.File{theirs}, s.Files...),
		Stdin:      cmp.Or(s.Stdin, null), Stdout: cmp.Or(s.Stdout, null), Stderr: cmp.Or(s.Stderr, null),
	}
	var release func()
	cmd.Path, release = s.Binary.reach(cmd)
	defer release()
	ownSession(cmd)
	if err := cmd.Start(); err != nil {
		link.Close()
		return nil, fmt.Errorf("childproc: start %s: %w", s.Binary.name, place.WithoutPath(err))
	}
	return &Child{Link: link, cmd: cmd}, nil
}

func withoutRole(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, RoleVar+"=") })
}

// Pid returns the child's process id, 0 for no child.
func (c *Child) Pid() int {
	if c == nil {
		return 0
	}
	return c.cmd.Process.Pid
}

// Wait waits for the child's end and returns how it ended: "" for exit status
// 0, else words such as "exit status 2" or "signal: killed".
func (c *Child) Wait() string {
	err := c.cmd.Wait()
	if err == nil {
		return ""
	}
	return err.Error()
}

// Signal sends a signal to the child. It is no error if it has ended.
func (c *Child) Signal(sig os.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("childproc: signal %v to process %d: %w", sig, c.Pid(), err)
	}
	return nil
}

// Kill ends the child at once.
func (c *Child) Kill() error { return c.Signal(os.Kill) }

// A Part is what a process that was started by Start has from its parent.
type Part struct {
	Role  string
	Link  *Link
	Files []*os.File
}

// TakePart returns what this process has from its parent, or nil if it was not
// started by Start. It must be called once, before any child is started; the
// environment variable is gone afterwards, so that children are none of ours.
func TakePart() (*Part, error) {
	v, ok := os.LookupEnv(RoleVar)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(RoleVar)
	role, count, ok := strings.Cut(v, "/")
	var n int
	if _, err := fmt.Sscanf(count, "%d", &n); !ok || err != nil || n < 0 || n > 1<<16 {
		return nil, fmt.Errorf("childproc: the environment variable %s is for the server's own use and cannot be %q", RoleVar, v)
	}
	files := descriptors.Inherited(descriptors.Names(n+1, ""))
	link, err := LinkOf(files[0])
	files[0].Close()
	if err != nil {
		closeFiles(files[1:])
		return nil, err
	}
	return &Part{Role: role, Link: link, Files: files[1:]}, nil
}
