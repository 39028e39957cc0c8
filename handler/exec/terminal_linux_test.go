package exec_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"netserver/handler/exec"
)

// typed returns a Handler whose shell script runs at a terminal.
func typed(script string) *exec.Handler {
	h := sh(script)
	h.Terminal = new(exec.Terminal)
	return h
}

// everyTerminal runs f over the protocols.
func everyTerminal(t *testing.T, f func(t *testing.T, proto string)) {
	for _, proto := range []string{"tcp", "tls", "unix"} {
		t.Run(proto, func(t *testing.T) { f(t, proto) })
	}
}

// A program has its own terminal, of a known size, in a session of its own.
func TestTerminal(t *testing.T) {
	everyTerminal(t, func(t *testing.T, proto string) {
		h := typed(`stty size; test -t 0 && test -t 1 && test -t 2 && echo terminal >/dev/tty; ps -o tty= -p $$ >/dev/null; echo error >&2; test "$(ps -o sid= -p $$)" -eq $$ && echo leader`)
		if got := serve(t, h).run(proto, ""); !strings.HasPrefix(got, "24 80\r\nterminal\r\nerror\r\nleader\r\n") {
			t.Errorf("got %q", got)
		}
		h = typed(`stty size`)
		h.Terminal = &exec.Terminal{Columns: 132, Rows: 43}
		if got := serve(t, h).run(proto, ""); !strings.HasPrefix(got, "43 132\r\n") {
			t.Errorf("got %q", got)
		}
	})
}

// What is typed is echoed, until the program says otherwise, and the end of the
// client's side is the end of input, in the middle of a line too.
func TestTerminalEcho(t *testing.T) {
	everyTerminal(t, func(t *testing.T, proto string) {
		s := serve(t, typed(`stty -echo; echo ready; while read -r x; do echo "<$x>"; done; echo "last <$x>"; echo end`))
		c := s.dial(proto)
		buf := make([]byte, len("ready\r\n"))
		io.ReadFull(c, buf)
		io.WriteString(c, "one\ntwo\nmid")
		c.CloseWrite()
		got, err := io.ReadAll(c)
		if string(got) != "<one>\r\n<two>\r\nlast <mid>\r\nend\r\n" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if r := s.record(); r.Err != nil {
			t.Error(r.Err)
		}
		s = serve(t, typed(`read -r x; echo "<$x>"`))
		if got := s.run(proto, "word\n"); got != "word\r\n<word>\r\n" {
			t.Errorf("with an echo: %q", got)
		}
	})
}

// ^C reaches the program as from a keyboard.
func TestTerminalInterrupts(t *testing.T) {
	s := serve(t, typed(`trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.05; done`))
	c := s.dial("tls")
	io.ReadFull(c, make([]byte, len("ready\r\n")))
	io.WriteString(c, "\x03")
	if got, _ := io.ReadAll(c); !strings.Contains(string(got), "interrupted") {
		t.Errorf("got %q", got)
	}
	if r := s.record(); !strings.Contains(notes(r), "exit=3") {
		t.Errorf("%v; %s", r.Err, notes(r))
	}
}

// A client that leaves hangs up.
func TestTerminalHangsUp(t *testing.T) {
	everyTerminal(t, func(t *testing.T, proto string) {
		if proto == "unix" {
			t.Skip("has no reset")
		}
		h := typed(`trap 'echo >"$0"; exit 5' HUP; echo $$; while :; do sleep 0.02; done`)
		file := t.TempDir() + "/hung up"
		h.Args = append(h.Args, file)
		h.KillGrace = 9 * time.Second // half of it is for what HUP begins
		s := serve(t, h)
		c := s.dial(proto)
		pid := readPid(t, c)
		reset(t, c)
		r := s.record()
		if _, err := os.Stat(file); err != nil || !strings.Contains(notes(r), "exit=5") || alive(pid) {
			t.Errorf("%v; %s; %v", r.Err, notes(r), err)
		}
	})
}

// A program that reads keys by itself is hung up at the end of the client's side.
func TestTerminalInRawMode(t *testing.T) {
	s := serve(t, typed(`stty raw -echo; printf ready; exec cat`))
	c := s.dial("tls")
	io.ReadFull(c, make([]byte, len("ready")))
	io.WriteString(c, "\x04\x03x") // keys like any other
	buf := make([]byte, 3)
	if io.ReadFull(c, buf); string(buf) != "\x04\x03x" {
		t.Errorf("got %q", buf)
	}
	c.CloseWrite()
	io.ReadAll(c)
	if r := s.record(); !errors.Is(r.Err, exec.ErrHungUp) || alive(pidOf(t, r)) {
		t.Errorf("%v; %s", r.Err, notes(r))
	}
}

// A program that has no key for the end of input is hung up too.
func TestTerminalWithoutEndKey(t *testing.T) {
	s := serve(t, typed(`stty eof undef -echo; echo ready; exec cat`))
	c := s.dial("tls")
	io.ReadFull(c, make([]byte, len("ready\r\n")))
	io.WriteString(c, "line\n")
	c.CloseWrite()
	if got, _ := io.ReadAll(c); strings.Contains(string(got), "\x00") {
		t.Errorf("got %q", got)
	}
	if r := s.record(); !errors.Is(r.Err, exec.ErrHungUp) {
		t.Errorf("%v; %s", r.Err, notes(r))
	}
}

// The end of input is one after a key that has the next one be ordinary as well.
func TestTerminalEndAfterQuote(t *testing.T) {
	s := serve(t, typed(`stty -echo; echo ready; cat; echo end`))
	c := s.dial("tls")
	io.ReadFull(c, make([]byte, len("ready\r\n")))
	io.WriteString(c, "a\x16")
	c.CloseWrite()
	if got, _ := io.ReadAll(c); !strings.HasSuffix(string(got), "end\r\n") {
		t.Errorf("got %q", got)
	}
	if r := s.record(); r.Err != nil {
		t.Errorf("%v; %s", r.Err, notes(r))
	}
}

// The whole output arrives, however long it is.
func TestTerminalOutput(t *testing.T) {
	s := serve(t, typed(`stty -opost; head -c 1000000 /dev/zero`))
	if got := s.run("tls", ""); len(got) != 1000000 {
		t.Errorf("%d bytes", len(got))
	}
}

// Standard error goes to the terminal unless something else is asked for.
func TestTerminalStderr(t *testing.T) {
	h := typed(`echo complaint >&2`)
	h.Stderr = exec.StderrLog
	s := serve(t, h)
	got := s.run("tls", "")
	s.record()
	if got != "" || !strings.Contains(s.log.String(), "complaint") {
		t.Errorf("got %q; %s", got, s.log)
	}
}

// The terminal belongs to the user that the program runs as, and limits hold.
func TestTerminalOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may start programs as others")
	}
	h := typed(`stat -L -c %U /dev/stdin; ulimit -n; exec 9>"$(tty)" && echo opened`)
	h.User, h.Limits = "nobody", exec.Limits{Files: 30}
	if got := serve(t, h).run("tls", ""); !strings.Contains(got, "nobody\r\n30\r\nopened\r\n") {
		t.Errorf("got %q", got)
	}
}

func TestCheckOfTerminals(t *testing.T) {
	h := &exec.Handler{Path: "cat", Terminal: &exec.Terminal{Columns: 70000}}
	want := "exec: a terminal of 70000 columns and 0 rows: both are at most 65535"
	if err := h.Check(); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
