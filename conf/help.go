package conf

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// The layout of the help text, in columns.
const (
	helpWidth  = 80 // of a line
	helpIndent = 2  // before a key
	helpColumn = 30 // where the description begins, at most
)

// Help returns the available keys by group, in the order of definition, in
// lines of 80 columns, and then those of each table. With groups named, it
// returns only those, in that order.
func (s *Set) Help(w io.Writer, groups ...string) error {
	tables := s.tables
	if len(groups) == 0 {
		groups = s.Groups()
	} else {
		tables = nil
	}
	var b bytes.Buffer
	s.helpKeys(&b, groups, func(Key) bool { return true })
	for _, t := range tables {
		s.helpTable(&b, t, true)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// HelpFor returns those of the available keys that shown holds for, by group, as
// Help does, and then each table of which tables holds the name, without what it
// shares with the keys outside. A nil function holds for none.
func (s *Set) HelpFor(w io.Writer, shown func(Key) bool, tables func(name string) bool) error {
	var b bytes.Buffer
	if shown != nil {
		s.helpKeys(&b, s.Groups(), shown)
	}
	for _, t := range s.tables {
		if tables != nil && tables(t.Name) {
			s.helpTable(&b, t, false)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// helpKeys writes the keys of some groups.
func (s *Set) helpKeys(b *bytes.Buffer, groups []string, shown func(Key) bool) {
	column := s.helpColumn()
	for _, g := range groups {
		var keys bytes.Buffer
		for _, d := range s.defs {
			if d.Group == g && d.Refuse == "" && shown(d.Key) {
				d.help(&keys, d.usage(), column)
			}
		}
		if keys.Len() == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		if g != "" {
			fmt.Fprintf(b, "%s\n", g)
		}
		b.Write(keys.Bytes())
	}
}

// helpTable writes the keys of one kind of table, with or without those that are
// keys outside as well.
func (s *Set) helpTable(b *bytes.Buffer, t table, shared bool) {
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	fmt.Fprintf(b, "[[%s]], in a TOML conf file\n", t.Name)
	for _, line := range wrap(t.Help, helpWidth-helpIndent) {
		fmt.Fprintf(b, "%s%s\n", strings.Repeat(" ", helpIndent), line)
	}
	for _, d := range t.set.defs {
		if d.Refuse == "" && (shared || s.index[d.Name] == nil) {
			d.help(b, d.assignment(), s.helpColumn())
		}
	}
}

// helpColumn is where descriptions begin.
func (s *Set) helpColumn() int {
	column := 0
	for _, d := range s.defs {
		if d.Refuse == "" {
			column = max(column, helpIndent+utf8.RuneCountInString(d.usage())+2)
		}
	}
	return min(column, helpColumn)
}

// Groups returns the groups with at least one available key, in the order of
// definition.
func (s *Set) Groups() []string {
	var groups []string
	for _, d := range s.defs {
		if d.Refuse == "" && !slices.Contains(groups, d.Group) {
			groups = append(groups, d.Group)
		}
	}
	return groups
}

// usage shows how to write the key: --port SPEC.
func (d *def) usage() string {
	if d.Bool && d.Arg == "" {
		return "--" + d.Name
	}
	return "--" + d.Name + " " + d.arg()
}

// assignment shows how to write the key in a table: targets = TARGET.
func (d *def) assignment() string {
	if d.Bool && d.Arg == "" {
		return d.Name + " = BOOL"
	}
	return d.Name + " = " + d.arg()
}

// help writes one key.
func (d *def) help(b *bytes.Buffer, usage string, column int) {
	text := d.Help
	if notes := d.notes(); notes != "" {
		text = strings.TrimSpace(text + " (" + notes + ")")
	}
	usage = strings.Repeat(" ", helpIndent) + usage
	lines := wrap(text, helpWidth-column)
	if len(lines) == 0 {
		fmt.Fprintf(b, "%s\n", usage)
		return
	}
	pad := strings.Repeat(" ", column)
	if n := utf8.RuneCountInString(usage); n+2 > column {
		fmt.Fprintf(b, "%s\n", usage)
	} else {
		fmt.Fprintf(b, "%s%s%s\n", usage, strings.Repeat(" ", column-n), lines[0])
		lines = lines[1:]
	}
	for _, line := range lines {
		fmt.Fprintf(b, "%s%s\n", pad, line)
	}
}

// notes returns what help adds to the description in parentheses.
func (d *def) notes() string {
	var notes []string
	switch {
	case d.List && d.inTable:
		notes = append(notes, "or an array")
	case d.List:
		notes = append(notes, "may repeat")
	}
	if d.Required {
		notes = append(notes, "required")
	}
	if def := d.shownDefault(); def != "" {
		notes = append(notes, "default "+def)
	}
	return strings.Join(notes, "; ")
}

// shownDefault formats the default for help.
func (d *def) shownDefault() string {
	vals := d.fallback()
	switch {
	case len(vals) == 0:
		return ""
	case d.Secret:
		return masked
	}
	return strings.Join(texts(vals), ", ")
}

// wrap breaks text at blanks into lines of at most width columns. A longer
// word gets its own line.
func wrap(text string, width int) []string {
	var lines []string
	var line string
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// Markdown returns the keys as Markdown, a heading and a table for each group,
// followed by those of each table of a TOML file, and by the keys that are known
// but not available, with the reason.
func (s *Set) Markdown(w io.Writer) error {
	var b bytes.Buffer
	for _, g := range s.Groups() {
		if g != "" {
			fmt.Fprintf(&b, "## %s\n\n", g)
		}
		b.WriteString("| key | value | default | repeats | per port | needs | meaning |\n|---|---|---|---|---|---|---|\n")
		for _, d := range s.defs {
			if d.Group == g && d.Refuse == "" {
				d.row(&b)
			}
		}
		b.WriteByte('\n')
	}
	for _, t := range s.tables {
		t.markdown(&b)
	}
	if i := slices.IndexFunc(s.defs, func(d *def) bool { return d.Refuse != "" }); i >= 0 {
		b.WriteString("## Known, and not available\n\n| key | reason |\n|---|---|\n")
		for _, d := range s.defs {
			if d.Refuse != "" {
				fmt.Fprintf(&b, "| `%s` | %s |\n", d.Name, cell(d.Refuse))
			}
		}
	}
	_, err := w.Write(append(bytes.TrimRight(b.Bytes(), "\n"), '\n'))
	return err
}

// markdown writes the keys of one kind of table.
func (t table) markdown(b *bytes.Buffer) {
	fmt.Fprintf(b, "## [[%s]]\n\n%s\n\n| key | value | default | several | needs | meaning |\n|---|---|---|---|---|---|\n", t.Name, t.Help)
	for _, d := range t.set.defs {
		if d.Refuse == "" {
			value, def, needs := d.cells()
			if d.Required {
				def = "required"
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", d.Name, value, def, yes(d.List), needs, cell(d.Help))
		}
	}
	b.WriteByte('\n')
}

// row writes one line of the table.
func (d *def) row(b *bytes.Buffer) {
	value, def, needs := d.cells()
	fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s | %s |\n",
		d.Name, value, def, yes(d.List), yes(d.PerPort || slices.Contains(placeKeys[:], d.Name)), needs, cell(d.Help))
}

// cells returns what value the key takes, its default, and what it needs.
func (d *def) cells() (value, def, needs string) {
	value = d.arg()
	switch {
	case d.Bool && d.Arg == "":
		value = "0 or 1"
	case d.Map:
		value += " or NAME=" + value
	}
	if def = d.shownDefault(); def != "" {
		def = "`" + def + "`"
	}
	needs = string(d.When)
	if d.When == Always {
		needs = ""
	}
	return cell(value), cell(def), cell(needs)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// cell escapes text for a table cell.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
