package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/netservertest"
)

// A screen is a pseudo-terminal, with a program in it and what that shows. It
// knows the control sequences that are sent to a vt100, and no others.
type screen struct {
	t      testing.TB
	pty    *os.File
	cmd    *exec.Cmd
	before unix.Termios // of the terminal, when the program was started
	ended  chan struct{}

	mu      sync.Mutex
	cells   [][]rune
	x, y    int
	top     int             // the lines that scroll,
	bottom  int             // and the last of them
	modes   map[string]bool // such as ?1049
	all     strings.Builder // what was written
	pending []byte
	unknown []string
}

// inTerminal starts a program in a new terminal.
func inTerminal(t testing.TB, columns, rows int, environ []string, name string, args ...string) *screen {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, pty: pty, modes: map[string]bool{"?25": true}, ended: make(chan struct{})}
	var theirs *os.File
	s.control(func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		peer, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		if no != 0 {
			return no
		}
		theirs = os.NewFile(peer, "terminal")
		return nil
	})
	defer theirs.Close()
	s.size(columns, rows)
	s.before = s.termios()
	s.cmd = exec.Command(name, args...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = theirs, theirs, theirs
	s.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "NO_COLOR=") || strings.HasPrefix(e, "TERM=") || strings.HasPrefix(e, "COLORTERM=")
	}), environ...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read()
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-s.ended
		pty.Close()
		if t.Failed() {
			t.Logf("the screen:\n%s\n%q", s.text(), s.written())
		}
	})
	return s
}

func (s *screen) control(f func(fd int) error) {
	s.t.Helper()
	rc, err := s.pty.SyscallConn()
	if err != nil {
		s.t.Fatal(err)
	}
	if cerr := rc.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil || err != nil {
		s.t.Fatal(cerr, err)
	}
}

// size gives the terminal another size, which its program is told by a signal.
func (s *screen) size(columns, rows int) {
	s.t.Helper()
	s.mu.Lock()
	cells := make([][]rune, rows)
	for i := range cells {
		cells[i] = slices.Repeat([]rune{' '}, columns)
	}
	s.cells, s.x, s.y, s.top, s.bottom = cells, 0, 0, 0, rows-1
	s.mu.Unlock()
	s.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(columns)})
	})
}

func (s *screen) termios() (now unix.Termios) {
	s.t.Helper()
	s.control(func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err == nil {
			now = *t
		}
		return err
	})
	return now
}

func (s *screen) read() {
	b := make([]byte, 1<<16)
	for {
		n, err := s.pty.Read(b)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.all.Write(b[:n])
		s.pending = append(s.pending, b[:n]...)
		s.draw()
		s.mu.Unlock()
	}
}

// draw carries out what has come, but for the last sequence if that is not whole.
func (s *screen) draw() {
	for len(s.pending) > 0 {
		n := 0
		switch c := s.pending[0]; {
		case c == 0x1b:
			n = s.escape(string(s.pending))
		case c == '\r':
			s.x, n = 0, 1
		case c == '\n':
			if n = 1; s.y == s.bottom {
				s.scroll(s.top, s.bottom)
			} else {
				s.y = min(s.y+1, len(s.cells)-1)
			}
		case c == '\t':
			s.x, n = s.x/8*8+8, 1
		case c == '\b':
			s.x, n = max(s.x-1, 0), 1
		case c < ' ' || c >= 0x7f:
			s.unknown, n = append(s.unknown, fmt.Sprintf("%q", c)), 1
		default:
			if s.y < len(s.cells) && s.x < len(s.cells[s.y]) {
				s.cells[s.y][s.x] = rune(c)
				s.x++
			}
			n = 1
		}
		if n == 0 {
			return
		}
		s.pending = s.pending[n:]
	}
}

// scroll takes the line from away and puts an empty one in at to; those between
// move up or down.
func (s *screen) scroll(from, to int) {
	if from < len(s.cells) && to < len(s.cells) {
		s.cells = slices.Insert(slices.Delete(s.cells, from, from+1), to, slices.Repeat([]rune{' '}, len(s.cells[0])))
	}
}

// escape carries out one sequence, and returns how long it is; 0: it is not whole.
func (s *screen) escape(text string) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '[':
		end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' && r <= '~' })
		if end < 0 {
			return 0
		}
		s.csi(text[2:2+end], text[2+end])
		return end + 3
	case ']':
		if end := strings.IndexByte(text, '\a'); end >= 0 {
			return end + 1
		}
		if end := strings.Index(text, "\x1b\\"); end >= 0 {
			return end + 2
		}
		return 0
	case 'M':
		if s.y == s.top {
			s.scroll(s.bottom, s.top)
		} else {
			s.y = max(0, s.y-1)
		}
		return 2
	}
	s.unknown = append(s.unknown, fmt.Sprintf("%q", text[:2]))
	return 2
}

func (s *screen) csi(params string, final byte) {
	arg := func(i, otherwise int) int {
		list := strings.Split(params, ";")
		if i < len(list) {
			if n, err := strconv.Atoi(list[i]); err == nil && n > 0 {
				return n
			}
		}
		return otherwise
	}
	line := []rune(nil)
	if s.y < len(s.cells) {
		line = s.cells[s.y]
	}
	blank := func(cells []rune) {
		for i := range cells {
			cells[i] = ' '
		}
	}
	switch n := arg(0, 1); final {
	case 'r':
		s.x, s.y, s.top, s.bottom = 0, 0, n-1, arg(1, len(s.cells))-1
	case 'P':
		if s.x < len(line) {
			n = min(n, len(line)-s.x)
			copy(line[s.x:], line[s.x+n:])
			blank(line[len(line)-n:])
		}
	case '@':
		if s.x < len(line) {
			n = min(n, len(line)-s.x)
			copy(line[s.x+n:], line[s.x:])
			blank(line[s.x : s.x+n])
		}
	case 'L', 'M', 'S', 'T':
		at := s.y
		if final == 'S' || final == 'T' {
			at = s.top
		}
		for range n {
			if final == 'L' || final == 'T' {
				s.scroll(s.bottom, at)
			} else {
				s.scroll(at, s.bottom)
			}
		}
	case 'H':
		s.y, s.x = n-1, arg(1, 1)-1
	case 'A':
		s.y = max(0, s.y-n)
	case 'B':
		s.y = min(len(s.cells)-1, s.y+n)
	case 'C':
		s.x += n
	case 'D':
		s.x = max(0, s.x-n)
	case 'G':
		s.x = n - 1
	case 'd':
		s.y = n - 1
	case 'K':
		if arg(0, 0) == 0 {
			blank(line[min(s.x, len(line)):])
		} else {
			blank(line[:min(s.x+1, len(line))])
		}
	case 'X':
		blank(line[min(s.x, len(line)):min(s.x+n, len(line))])
	case 'J':
		if arg(0, 0) == 0 {
			blank(line[min(s.x, len(line)):])
		}
		for i := range s.cells {
			if arg(0, 0) == 2 || i > s.y {
				blank(s.cells[i])
			}
		}
	case 'h', 'l':
		for _, m := range strings.Split(strings.TrimPrefix(params, "?"), ";") {
			s.modes["?"+m] = final == 'h'
		}
	case 'Z':
		s.x = max(0, (s.x-1)/8*8)
	case 'm', 'p', 'q', 'u', 'n', 'c', 'W': // colours, questions, keys, tab stops
	default:
		s.unknown = append(s.unknown, "CSI "+params+string(final))
	}
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, line := range s.cells {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return b.String()
}

// written returns all that the program has written.
func (s *screen) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// shows waits until the screen has a text.
func (s *screen) shows(text string) {
	s.t.Helper()
	netservertest.Eventually(s.t, "the screen has "+text, func() bool { return strings.Contains(s.text(), text) })
}

// keys types.
func (s *screen) keys(text string) {
	s.t.Helper()
	if _, err := s.pty.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// restored waits for the program's end, and checks that the terminal is as it was.
func (s *screen) restored() (status int) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		s.t.Fatal("the program does not end")
	}
	if now := s.termios(); now != s.before {
		s.t.Errorf("the terminal is %+v, and was %+v", now, s.before)
	}
	netservertest.Eventually(s.t, "the screen is the shell's again, with a cursor", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.modes["?25"] && !s.modes["?1049"] && !s.modes["?2004"]
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unknown) > 0 {
		s.t.Errorf("sequences that a vt100 does not know: %q", s.unknown)
	}
	return s.cmd.ProcessState.ExitCode()
}
