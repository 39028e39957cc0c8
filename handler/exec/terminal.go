package exec

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"netserver/internal/childproc/program"
)

// A Terminal is the size of a pseudo-terminal. Zero is 80 columns and 24 rows.
type Terminal struct {
	Columns, Rows int // at most 65535
}

// ErrHungUp is the error of a client that ended its side while its program had
// the terminal give it every key by itself, or has no key for the end: there is no way to tell such a
// program of the end but to hang up.
var ErrHungUp = errors.New("the client ended its side of a terminal, which was hung up")

// checkTerminal returns what is wrong with Handler.Terminal, or with a system
// that has none.
func (h *Handler) checkTerminal(c *command) error {
	t := h.Terminal
	if t == nil {
		return nil
	}
	if t.Columns < 0 || t.Columns > 65535 || t.Rows < 0 || t.Rows > 65535 {
		return fmt.Errorf("a terminal of %d columns and %d rows: both are at most 65535", t.Columns, t.Rows)
	}
	c.Terminal = true
	ours, theirs, err := h.openTerminal()
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	closeAll(theirs[:]...)
	ours.close()
	return nil
}

// stderr is where the standard error goes: with a terminal that is the default.
func (h *Handler) stderr() Stderr {
	switch {
	case h.Stderr != "":
		return h.Stderr
	case h.Terminal != nil:
		return StderrClient
	}
	return StderrLog
}

// openTerminal makes a terminal for one program, as openPipes makes pipes.
func (h *Handler) openTerminal() (ours pipes, theirs [3]*os.File, err error) {
	columns, rows := uint16(h.Terminal.Columns), uint16(h.Terminal.Rows)
	if columns == 0 {
		columns = 80
	}
	if rows == 0 {
		rows = 24
	}
	in, out, tty, err := program.OpenTerminal(columns, rows)
	if err != nil {
		return ours, theirs, err
	}
	ours.stdin, ours.stdout, theirs[0], theirs[1] = in, out, tty, tty
	if u := h.resolved.User; u != nil {
		err = tty.Chown(u.UID, -1)
	}
	if err == nil {
		ours.stderr, theirs[2], err = openStderr(h.stderr(), tty)
	}
	if err != nil {
		closeAll(theirs[:]...)
		ours.close()
	}
	return ours, theirs, err
}

// open makes what joins the program to the server.
func (h *Handler) open() (ours pipes, theirs [3]*os.File, err error) {
	if h.Terminal != nil {
		return h.openTerminal()
	}
	return openPipes(h.stderr())
}

// endTyping tells the program that its client types no more, as soon as it has
// room for that.
func (s *session) endTyping(t *typist) {
	keys, ok := program.EndKeys(s.pipes.stdin, t.last)
	if !ok {
		s.leave(ErrHungUp)
		return
	}
	if _, err := t.Writer.Write(keys); errors.Is(err, errReset) {
		s.leave(errReset)
	}
}

// hungUp gives a program whose terminal was closed, which the kernel has told it
// by HUP, half of grace to end by itself, and returns the rest. Others have all
// of it.
func (s *session) hungUp(grace time.Duration) time.Duration {
	if s.h.Terminal == nil || grace <= 0 {
		return grace
	}
	t := time.NewTimer(grace / 2)
	defer t.Stop()
	select {
	case <-s.p.Exited:
	case <-t.C:
	}
	return grace / 2
}

// A typist types at a terminal, and knows which key was the last.
type typist struct {
	io.Writer
	last int // negative if there was none
}

func (t *typist) Write(b []byte) (int, error) {
	n, err := t.Writer.Write(b)
	if n > 0 {
		t.last = int(b[n-1])
	}
	return n, err
}
