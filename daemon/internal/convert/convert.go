package convert

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Convert writes the conf file data of stunnel or hitch as TOML, and what it
// could not take over, a line each, to notes. name is what the file is called.
func Convert(w, notes io.Writer, name string, data []byte) error {
	kind := KindOf(data)
	c := &converter{name: filepath.Base(name), notes: notes, names: namesIn, list: listDir, pins: pinsIn}
	switch kind {
	case Stunnel:
		c.stunnel(string(data))
	case Hitch:
		if err := c.hitch(string(data)); err != nil {
			return err
		}
	case "":
		return fmt.Errorf("%s: it does not look like a conf file of stunnel or hitch", name)
	default:
		return fmt.Errorf("%s: files of stunnel and hitch can be converted; %w", name, Foreign(name, data))
	}
	if len(c.listens) == 0 {
		has := map[string]string{Stunnel: "a service of stunnel has accept = PORT", Hitch: "hitch has frontend = \"[HOST]:PORT\""}[kind]
		return fmt.Errorf("%s: no port is listened on in it (%s)", name, has)
	}
	_, err := io.WriteString(w, c.text(kind))
	return err
}

// A converter is one file on its way.
type converter struct {
	name     string
	notes    io.Writer
	names    func(file string) ([]string, error) // the host names in a certificate
	list     func(dir string) ([]string, error)  // the files of a directory
	pins     func(file string) ([]pin, error)    // of the certificates in a file
	top      section                             // keys of the whole server
	backends []section                           // [[backend]]
	listens  []section                           // [[listen]]
}

// A section is the keys of one table.
type section struct {
	comment string
	keys    []string
	values  map[string]string            // as TOML
	named   map[string]map[string]string // values for single server names, by key
	routes  []section                    // [[listen.route]]
}

// set gives a key a value, in TOML.
func (s *section) set(key, toml string) {
	if s.values == nil {
		s.values = make(map[string]string)
	}
	if _, ok := s.values[key]; !ok {
		s.keys = append(s.keys, key)
	}
	s.values[key] = toml
}

func (s *section) text(key, value string) { s.set(key, quote(value)) }

// setFor gives a key of a port a value for one server name. The others keep the
// value that the port or, without one, the whole server has: a table replaces it.
func (c *converter) setFor(s *section, name, key, toml string) {
	if s.values[key] == "" && c.top.values[key] != "" {
		s.set(key, c.top.values[key])
	}
	if s.named == nil {
		s.named = make(map[string]map[string]string)
	}
	if s.named[key] == nil {
		s.named[key] = make(map[string]string)
		if s.values[key] == "" {
			s.keys = append(s.keys, key)
		}
	}
	s.named[key][name] = toml
}

// value writes the value of a key: a table, where single names have one.
func (s *section) value(key string) string {
	if len(s.named[key]) == 0 {
		return s.values[key]
	}
	var pairs []string
	if v := s.values[key]; v != "" {
		pairs = append(pairs, `"" = `+v)
	}
	for _, name := range slices.Sorted(maps.Keys(s.named[key])) {
		pairs = append(pairs, quote(name)+" = "+s.named[key][name])
	}
	return "{ " + strings.Join(pairs, ", ") + " }"
}

// quote writes a TOML string.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// array writes a TOML array of strings.
func array(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = quote(t)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// note tells what was not taken over.
func (c *converter) note(where string, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(c.notes, "%s: %s: %s\n", printable(c.name), printable(where), printable(text))
}

// printable replaces what a terminal would act on.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, text)
}

// text returns the whole file.
func (c *converter) text(kind string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by netserver convert from %s of %s.\n# Try it: netserver --check --conf_file FILE.toml\n", printable(c.name), kind)
	write := func(head string, s section) {
		b.WriteByte('\n')
		if s.comment != "" {
			fmt.Fprintf(&b, "# %s\n", printable(s.comment))
		}
		if head != "" {
			fmt.Fprintf(&b, "[[%s]]\n", head)
		}
		for _, k := range s.keys {
			fmt.Fprintf(&b, "%s = %s\n", k, s.value(k))
		}
	}
	if len(c.top.keys) > 0 {
		write("", c.top)
	}
	for _, s := range c.backends {
		write("backend", s)
	}
	for _, s := range c.listens {
		write("listen", s)
		for _, r := range s.routes {
			write("listen.route", r)
		}
	}
	return b.String()
}
