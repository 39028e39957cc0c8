package top

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/sys/unix"

	"netserver/internal/childproc/program"
	"netserver/netservertest"
)

// A faulty model panics in one of its methods.
type faulty struct{ in string }

func (f faulty) Init() tea.Cmd {
	return func() tea.Msg {
		if f.in == "command" {
			panic("a bug")
		}
		return due{}
	}
}

func (f faulty) Update(tea.Msg) (tea.Model, tea.Cmd) {
	if f.in == "update" {
		panic("a bug")
	}
	return f, nil
}

func (f faulty) View() tea.View {
	if f.in == "view" {
		panic("a bug")
	}
	v := tea.NewView("text")
	v.AltScreen = true
	return v
}

// faultyVar has the test binary be a program instead of running tests: one with a
// faulty model.
const faultyVar = "TOP_TEST_FAULTY"

func TestMain(m *testing.M) {
	in := os.Getenv(faultyVar)
	if in == "" {
		os.Exit(netservertest.Main(m))
	}
	if err := screen(context.Background(), faulty{in}, []string{"TERM=vt100"}, os.Stdin, os.Stdout); errors.Is(err, tea.ErrProgramPanic) {
		os.Exit(3)
	}
}

// A panic, wherever it is, leaves the terminal as it was.
func TestPanicRestoresTheTerminal(t *testing.T) {
	for _, in := range []string{"update", "view", "command"} {
		typed, out, theirs, err := program.OpenTerminal(80, 24)
		if err != nil {
			t.Fatal(err)
		}
		shown := make(chan string)
		go func() {
			var text strings.Builder
			out.CopyTo(func(b []byte) error { text.Write(b); return nil })
			shown <- text.String()
		}()
		before := termiosOf(t, theirs)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), faultyVar+"="+in)
		cmd.Stdin, cmd.Stdout = theirs, theirs
		cmd.Run()
		if n := cmd.ProcessState.ExitCode(); n != 3 {
			t.Errorf("%s: exit status %d", in, n)
		}
		if after := termiosOf(t, theirs); after != before {
			t.Errorf("%s: the terminal is %+v, and was %+v", in, after, before)
		}
		theirs.Close()
		if text := <-shown; strings.LastIndex(text, "\x1b[?1049h") > strings.LastIndex(text, "\x1b[?1049l") {
			t.Errorf("%s: the other screen is left as it is: %q", in, text)
		}
		typed.Close()
		out.Close()
	}
}

func termiosOf(t *testing.T, f *os.File) unix.Termios {
	t.Helper()
	v, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *v
}
