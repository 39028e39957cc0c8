//go:build unix

package exec_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"netserver/handler/exec"
)

func TestStderrGoesToTheLog(t *testing.T) {
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		h := helper(t, "stderr")
		h.Pipes = pipes
		s := serve(t, h)
		if got := s.run(proto, ""); got != "" {
			t.Fatalf("%q", got)
		}
		s.record()
		var lines []string
		for l := range strings.Lines(s.log.String()) {
			if strings.Contains(l, "msg=stderr") {
				if !strings.Contains(l, "client=1 ") {
					t.Errorf("no client in %q", l)
				}
				_, line, _ := strings.Cut(l, " line=")
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		want := []string{`one`, `\x1b[31mtwo\xff`, strings.Repeat("x", 1024) + "...", `last`}
		if !slices.Equal(lines, want) {
			t.Fatalf("%.100q", lines)
		}
	})
}

func TestStderrFloodIsBounded(t *testing.T) {
	for _, proto := range []string{"tcp", "tls"} {
		s := serve(t, sh(`seq 100000 >&2; echo done`))
		if got := s.run(proto, ""); got != "done\n" {
			t.Fatalf("%q", got)
		}
		r := s.record()
		logged := strings.Count(s.log.String(), "msg=stderr")
		// A burst of 20, and 20 for each second that it took.
		if most := 20 + 20*int(r.Time.Seconds()+1); logged < 20 || logged > most {
			t.Errorf("%d lines logged, of at most %d", logged, most)
		}
		if want := fmt.Sprintf("stderr_dropped=%d", 100000-logged); !strings.Contains(notes(r), want) {
			t.Errorf("want %s in %s", want, notes(r))
		}
	}
}

func TestStderrElsewhere(t *testing.T) {
	everyStream(t, func(t *testing.T, proto string, pipes bool) {
		for to, want := range map[exec.Stderr]string{exec.StderrClient: "out\nerr\n", exec.StderrDrop: "out\n"} {
			h := sh(`echo out; echo err >&2`)
			h.Pipes, h.Stderr = pipes, to
			s := serve(t, h)
			if got := s.run(proto, ""); got != want {
				t.Errorf("%s: %q", to, got)
			}
			s.record()
			if strings.Contains(s.log.String(), "msg=stderr") {
				t.Errorf("%s: %s", to, s.log)
			}
		}
	})
}

func TestStderrInherited(t *testing.T) {
	for _, proto := range []string{"tcp", "tls"} {
		h := sh(`readlink /proc/self/fd/2`)
		h.Stderr = exec.StderrInherit
		own, err := os.Readlink("/proc/self/fd/2")
		if err != nil {
			t.Skip(err)
		}
		if got := serve(t, h).run(proto, ""); got != own+"\n" {
			t.Errorf("%s: %q, not %q", proto, got, own)
		}
	}
}

// FuzzLogLines checks that no bytes make a log line long or unprintable, and
// that it makes no difference in which pieces they come.
func FuzzLogLines(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\x1b[0m\xff\xfe\n\nlast"), 3)
	f.Add(bytes.Repeat([]byte("é"), 2000), 1023)
	f.Add([]byte("\r\n\n\r"), 1)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		var whole, cut []string
		exec.LogLines(func(l string) { whole = append(whole, l) }, b)
		size = max(1, size%len(append(b, 0)))
		exec.LogLines(func(l string) { cut = append(cut, l) }, slices.Collect(slices.Chunk(b, size))...)
		if !slices.Equal(whole, cut) {
			t.Fatalf("%q in one piece, %q in pieces of %d", whole, cut, size)
		}
		want := bytes.Count(b, []byte("\n"))
		if len(b) > 0 && b[len(b)-1] != '\n' {
			want++
		}
		if len(whole) != want {
			t.Fatalf("%d lines, want %d: %q", len(whole), want, whole)
		}
		for _, l := range whole {
			if len(l) > 4*1024+3 || !utf8.ValidString(l) ||
				strings.ContainsFunc(l, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) {
				t.Fatalf("%q", l)
			}
		}
	})
}
