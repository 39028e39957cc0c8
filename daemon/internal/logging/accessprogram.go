package logging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"netserver/internal/childproc"
	"netserver/internal/childproc/program"
	"netserver/internal/identity"
)

// toProgram returns the program, with its arguments, that an access_log_file
// means: what stands after a bar.
func toProgram(name string) (argv []string, ok bool) {
	text, ok := strings.CutPrefix(name, "|")
	return strings.Fields(text), ok
}

// checkProgram says what keeps a program from taking the access log. It runs as
// the user that serves, and never as root.
func (c *Config) checkProgram(argv []string) error {
	switch {
	case !childproc.CanSpawn:
		return errors.New("a program cannot take it on this system")
	case len(argv) == 0:
		return errors.New("after | stands a program with its arguments")
	case !filepath.IsAbs(argv[0]):
		return fmt.Errorf("|%s: give the program's whole path", argv[0])
	case identity.IsRoot() && (c.Owner == nil || c.Owner.UID == 0):
		return fmt.Errorf("|%s: the program would run as root; name another user with user", argv[0])
	}
	info, err := os.Stat(argv[0])
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("|%s: is not executable", argv[0])
	case c.Owner == nil:
		return nil
	}
	r := identity.FileRights{UID: c.Owner.UID, Groups: append([]int{c.Owner.GID}, c.Owner.Groups...)}
	if err := r.Can(argv[0], identity.WantExecute); err != nil {
		return fmt.Errorf("|%s: user %s cannot run it: %w", argv[0], c.Owner.User, err)
	}
	return nil
}

const (
	programAgain     = 100 * time.Millisecond // before it is started again, and twice that each time
	programAgainMost = 10 * time.Second
	// programSteady is how long it must have run to be started again at once.
	programSteady = time.Second
	// programEnd is how long it may take to end when its input has, and as long
	// again when it was told to.
	programEnd  = time.Second
	programSays = 10 // lines a second of its output
)

// A programWriter is a program that takes the access log on its standard input.
// While it does not read, Write waits. When it has ended it is started again, and
// gets what it had not taken. Write is for one goroutine; Close may be called at
// any time.
type programWriter struct {
	cmd program.Command
	env []string
	log *slog.Logger
	by  program.Starter

	ctx    context.Context // cancelled by Close
	cancel context.CancelFunc

	mu  sync.Mutex // of what follows, as Close has it too
	run *program.Program
	in  *os.File

	began time.Time
	delay time.Duration
}

// newProgramWriter starts the program.
func (c *Config) newProgramWriter(argv []string, log *slog.Logger) (*programWriter, error) {
	if err := c.checkProgram(argv); err != nil {
		return nil, err
	}
	w := &programWriter{cmd: program.Command{Path: argv[0], Argv: argv}, log: log}
	w.env = childproc.ProgramEnviron(os.Environ(), nil)
	if a := c.Owner; a != nil {
		w.cmd.User = &program.Identity{UID: a.UID, GID: a.GID, Groups: a.Groups}
		w.env = childproc.LoginEnviron(w.env, a.UID)
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w, w.start()
}

// start starts the program, with what it says in the log.
func (w *programWriter) start() error {
	theirs, ours, err := program.OpenInlet()
	if err != nil {
		return err
	}
	defer theirs.Close()
	out, says, err := program.OpenOutlet()
	if err != nil {
		ours.Close()
		return err
	}
	defer says.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
		err = os.ErrClosed
	} else {
		w.run, err = w.by.Start(&w.cmd, w.env, [3]*os.File{theirs, says, says})
	}
	if err != nil {
		ours.Close()
		out.Close()
		return err
	}
	w.in, w.began = ours, time.Now()
	go w.listen(out)
	return nil
}

// listen logs what a program says.
func (w *programWriter) listen(out *program.Outlet) {
	var rate program.Rate
	rate.Init(programSays, programSays)
	l := program.Lines{Allow: rate.Allow, Emit: func(line string) { w.log.Warn("program of the access log says", "text", line) }}
	out.CopyTo(func(b []byte) error { l.Write(b); return nil })
	l.Flush()
	out.Close()
}

// Write gives lines to the program, each with its end.
func (w *programWriter) Write(lines []byte) (int, error) {
	n := 0
	for {
		err := w.again()
		if err == nil {
			var took int
			if took, err = w.in.Write(lines[n:]); err == nil {
				return len(lines), nil
			}
			// The next one begins with a whole line.
			n += bytes.LastIndexByte(lines[n:n+took], '\n') + 1
			w.ended()
		}
		if w.ctx.Err() != nil {
			return n, os.ErrClosed
		}
	}
}

// again starts the program again, after a pause, unless it runs.
func (w *programWriter) again() error {
	if w.run != nil {
		return nil
	}
	t := time.NewTimer(w.delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.ctx.Done():
		return os.ErrClosed
	}
	err := w.start()
	if err != nil {
		w.later()
		if w.ctx.Err() == nil {
			w.log.Warn("cannot start the program of the access log; its lines are queued, and those dropped are counted", "err", err)
		}
	}
	return err
}

func (w *programWriter) later() { w.delay = min(max(2*w.delay, programAgain), programAgainMost) }

// ended forgets a program that reads no more.
func (w *programWriter) ended() {
	if w.ctx.Err() != nil {
		return // Close sees to it
	}
	if time.Since(w.began) >= programSteady {
		w.delay = 0
	} else {
		w.later()
	}
	w.mu.Lock()
	run := w.run
	w.in.Close()
	w.run = nil
	w.mu.Unlock()
	w.finish(run)
	w.log.Warn("program of the access log ended; it is started again", run.Exit.Attr())
}

// finish ends a program whose input has ended.
func (w *programWriter) finish(run *program.Program) {
	t := time.NewTimer(programEnd)
	defer t.Stop()
	select {
	case <-run.Exited:
	case <-t.C:
	}
	run.End(programEnd, nil)
}

// Close ends the program's input, and the program.
func (w *programWriter) Close() error {
	w.cancel()
	w.mu.Lock()
	run := w.run
	if run != nil {
		w.in.Close()
	}
	w.mu.Unlock()
	if run != nil {
		w.finish(run)
	}
	return nil
}
