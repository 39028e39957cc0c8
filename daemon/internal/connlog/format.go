package connlog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"netserver"
	"netserver/logs"
)

// The forms that a format can name, beside one that is written out.
const (
	Text = "text" // NAME=VALUE, as in the log: what there is of the common ones
	JSON = "json" // an object of all that there is
)

// A Format is what a line looks like.
type Format struct {
	form  string // Text, JSON or ""
	items []item // if ""
}

// An item is a piece of a format: a field, or text as it is.
type item struct {
	text  string
	field *Field
}

// maxFormat bounds a format, in bytes.
const maxFormat = 8 << 10

// Is reports whether a text is a format of connections: a form by its name, or
// one with a %{NAME} that is none of a request, where a letter follows:
// %{Host}i.
func Is(text string) bool {
	f, err := Parse(text)
	if err != nil {
		return false
	}
	for i, it := range f.items {
		if it.field != nil && (i+1 == len(f.items) || f.items[i+1].text == "" || !strings.Contains("CPeinot", f.items[i+1].text[:1])) {
			return true
		}
	}
	return f.form != "" && text != ""
}

// Parse reads a format: Text, JSON, or one in which %{NAME} stands for a field, %%
// for a percent sign, and \\ \" \n and \t for what they do in C. "" is Text.
func Parse(text string) (*Format, error) {
	switch text {
	case "", Text:
		return &Format{form: Text}, nil
	case JSON:
		return &Format{form: JSON}, nil
	}
	if len(text) > maxFormat {
		return nil, fmt.Errorf("a format of %d bytes is too long: it may have %d", len(text), maxFormat)
	}
	rest := strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", `\t`, "\t").Replace(text)
	f := new(Format)
	for rest != "" {
		before, after, found := strings.Cut(rest, "%")
		if before != "" {
			f.items = append(f.items, item{text: before})
		}
		if !found {
			break
		}
		if rest, found = strings.CutPrefix(after, "%"); found {
			f.items = append(f.items, item{text: "%"})
			continue
		}
		name, after, found := strings.Cut(strings.TrimPrefix(after, "{"), "}")
		at := slices.IndexFunc(fields[:], func(x Field) bool { return x.Name == name })
		if !found || rest[0] != '{' || at < 0 {
			return nil, fmt.Errorf("%.20q is none of a connection; %%{NAME} is, with one of: %s", "%"+rest, names())
		}
		f.items = append(f.items, item{field: &fields[at]})
		rest = after
	}
	return f, nil
}

// names lists those of all fields.
func names() string {
	var list []string
	for i := range fields {
		list = append(list, fields[i].Name)
	}
	return strings.Join(list, " ")
}

// Needs returns what has to be noted of clients for the format, and nothing more.
// fields tells that all of them are wanted beside it.
func (f *Format) Needs(all bool) (t netserver.Tracing) {
	if f.form == JSON || all {
		return netserver.TraceTimes | netserver.TraceHello
	}
	for _, it := range f.items {
		if it.field != nil {
			t |= it.field.needs
		}
	}
	return t
}

// append adds the line of an entry, without its end.
func (f *Format) append(b []byte, e *entry) []byte {
	switch f.form {
	case Text:
		return appendText(b, e)
	case JSON:
		return appendJSON(b, e)
	}
	for i := range f.items {
		it := &f.items[i]
		if it.field == nil {
			b = append(b, it.text...)
			continue
		}
		from := len(b)
		switch x := it.field; {
		case x.text != nil:
			b = appendEscaped(b, cut(x.text(e), x.most))
		default:
			b = x.appendNumber(b, e)
		}
		if len(b) == from {
			b = append(b, '-')
		}
	}
	return b
}

// appendText adds the time, and NAME=VALUE of what there is.
func appendText(b []byte, e *entry) []byte {
	if !e.untimed {
		b = e.r.Begin.Add(e.r.Time).Local().AppendFormat(b, "2006/01/02-15:04:05 ")
	}
	first := len(b)
	for i := range fields {
		x := &fields[i]
		if x.quiet {
			continue
		}
		from := len(b)
		if from > first {
			b = append(b, ' ')
		}
		b = append(b, x.Name...)
		b = append(b, '=')
		begin := len(b)
		if x.text != nil {
			if s := x.text(e); s != "" {
				b = logs.AppendText(b, cut(s, x.most))
			}
		} else if b = x.appendNumber(b, e); len(b) == begin && (x.Name == "in" || x.Name == "out") {
			b = append(b, '-') // nobody knows
		}
		if len(b) == begin {
			b = b[:from]
		}
	}
	return b
}

// appendNumber adds a number or a time in milliseconds, if there is one.
func (x *Field) appendNumber(b []byte, e *entry) []byte {
	if x.number != nil {
		if n, ok := x.number(e); ok {
			b = strconv.AppendUint(b, n, 10)
		}
		return b
	}
	if d, ok := x.ms(e); ok {
		b = appendMS(b, d)
	}
	return b
}

// appendMS adds milliseconds, to a microsecond.
func appendMS(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d.Microseconds())/1000, 'f', -1, 64)
}

// appendJSON adds an object with unique keys in ASCII: the fields that there are,
// and the other notes of the handler in an object of their own. Bytes that
// nobody has counted are null.
func appendJSON(b []byte, e *entry) []byte {
	b = append(b, `{"event":"connection"`...)
	for i := range fields {
		x := &fields[i]
		from := len(b)
		b = append(b, ',', '"')
		b = append(b, x.Name...)
		b = append(b, '"', ':')
		begin := len(b)
		switch {
		case x.text == nil:
			b = x.appendNumber(b, e)
			if len(b) == begin && (x.Name == "in" || x.Name == "out") {
				b = append(b, "null"...)
			}
			if x.Name == "resumed" && len(b) > begin {
				b = append(b[:begin], "true"...)
			}
		default:
			if s := x.text(e); s != "" && isNumber(x) {
				b = append(b, s...)
			} else if s != "" {
				b = logs.AppendJSON(b, cut(s, x.most))
			}
		}
		if len(b) == begin {
			b = b[:from]
		}
	}
	return append(appendNotes(b, e), '}')
}

// isNumber reports whether the text of a field is the decimal number of a note.
func isNumber(x *Field) bool { return x.Name == "pid" || x.Name == "exit" || x.Name == "tries" }

// appendNotes adds the notes that are no fields.
func appendNotes(b []byte, e *entry) []byte {
	var used [mostOf]string
	n := 0
	for i := range e.r.Notes {
		a := &e.r.Notes[i]
		if n == mostOf || a.Key == "" || known(a.Key) || slices.Contains(used[:n], a.Key) {
			continue
		}
		if n == 0 {
			b = append(b, `,"notes":{`...)
		} else {
			b = append(b, ',')
		}
		used[n] = a.Key
		n++
		b = logs.AppendJSON(b, cut(a.Key, noted))
		b = append(b, ':')
		b = logs.AppendJSON(b, cut(noteText(a.Value), noted))
	}
	if n > 0 {
		b = append(b, '}')
	}
	return b
}

// known reports whether a note is one of the fields.
func known(key string) bool {
	switch key {
	case "route", "backend", "target", "tries", "pid", "exit", "signal":
		return true
	}
	return false
}

// cut bounds a text that somebody else has chosen; 0 is no bound.
func cut(s string, most int) string {
	if most == 0 || len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "..."
}

// appendEscaped adds a value so that it cannot end its field, as the access log
// of HTTP does.
func appendEscaped(b []byte, v string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(v) {
		switch c := v[i]; {
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ' || c > '~' || c == '"' || c == '\\':
			b = append(b, '\\', 'x', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

// InText reports whether lines of text have the field.
func (x *Field) InText() bool { return !x.quiet }
