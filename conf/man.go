package conf

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
)

// manWidth is the line length of a manual page's source before escaping for
// roff.
const manWidth = 68

// Man returns the keys as part of a manual page in man(7) macros: a subsection
// for each group, and for each table, a tagged paragraph for each key. Keys that
// are not available are left out. Groups are as for Help.
func (s *Set) Man(w io.Writer, groups ...string) error {
	tables := s.tables
	if len(groups) == 0 {
		groups = s.Groups()
	} else {
		tables = nil
	}
	var b bytes.Buffer
	for _, g := range groups {
		if g != "" {
			fmt.Fprintf(&b, ".SS %s\n", Roff(strings.ToUpper(g[:1])+g[1:]))
		}
		for _, d := range s.defs {
			if d.Group == g && d.Refuse == "" {
				usage, arg, _ := strings.Cut(d.usage(), " ")
				d.paragraph(&b, usage, arg)
			}
		}
	}
	for _, t := range tables {
		fmt.Fprintf(&b, ".SS [[%s]], in a TOML conf file\n%s\n", Roff(t.Name), Roff(strings.Join(wrap(t.Help, manWidth), "\n")))
		for _, d := range t.set.defs {
			if d.Refuse == "" {
				d.paragraph(&b, d.Name, strings.TrimPrefix(d.assignment(), d.Name+" "))
			}
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// paragraph writes one key.
func (d *def) paragraph(b *bytes.Buffer, usage, arg string) {
	fmt.Fprintf(b, ".TP\n\\fB%s\\fR", Roff(usage))
	if arg != "" {
		fmt.Fprintf(b, " \\fI%s\\fR", Roff(arg))
	}
	text := d.Help
	notes := d.notes()
	if d.PerPort || slices.Contains(placeKeys[:], d.Name) {
		notes = strings.TrimPrefix(notes+"; per port", "; ")
	}
	if notes != "" {
		text = strings.TrimSpace(text + " (" + notes + ")")
	}
	b.WriteByte('\n')
	if text == "" {
		b.WriteString("\\&\n")
		return
	}
	fmt.Fprintf(b, "%s\n", Roff(strings.Join(wrap(text, manWidth), "\n")))
}

// roffChars are characters that a manual page formatter would interpret, or
// replace with a typographic one that cannot be copied.
var roffChars = strings.NewReplacer(
	`\`, `\(rs`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `"`, `\(dq`,
)

// Roff escapes text, one line or more, for a manual page.
func Roff(text string) string {
	lines := strings.Split(roffChars.Replace(text), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
