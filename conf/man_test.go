package conf

import (
	"strings"
	"testing"
)

func TestMan(t *testing.T) {
	var s Set
	var word string
	var list []string
	var on bool
	s.Define(Key{Name: "word", Group: "first", Arg: "A|B", Default: "A", Help: ".x is a dot, and 'y' a \\quote\\"}, String(&word))
	s.Define(Key{Name: "list", Group: "second", Arg: "FILE", List: true, PerPort: true, Help: "files"}, Strings(&list))
	s.Define(Key{Name: "on", Group: "second"}, Bool(&on))
	s.Define(Key{Name: "gone", Group: "second", Refuse: "no"}, nil)
	var b strings.Builder
	if err := s.Man(&b); err != nil {
		t.Fatal(err)
	}
	want := `.SS First
.TP
\fB\-\-word\fR \fIA|B\fR
\&.x is a dot, and \(aqy\(aq a \(rsquote\(rs (default A)
.SS Second
.TP
\fB\-\-list\fR \fIFILE\fR
files (may repeat; per port)
.TP
\fB\-\-on\fR
\&
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := s.Man(&b, "second"); err != nil || !strings.HasPrefix(b.String(), ".SS Second\n") {
		t.Errorf("one group: %v\n%s", err, b.String())
	}
}

// FuzzRoff: no text can become a request of the formatter.
func FuzzRoff(f *testing.F) {
	for _, s := range []string{"", ".so /etc/passwd", "'br", "\\X'x'", "a\n.b\n'c", "-~^`\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for line := range strings.SplitSeq(Roff(text), "\n") {
			if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
				t.Errorf("%q becomes the request %q", text, line)
			}
			rest := line
			for _, ok := range []string{`\(rs`, `\-`, `\(aq`, `\(ga`, `\(ha`, `\(ti`, `\(dq`, `\&`} {
				rest = strings.ReplaceAll(rest, ok, "")
			}
			if strings.Contains(rest, `\`) {
				t.Errorf("%q has an escape: %q", text, line)
			}
		}
	})
}
