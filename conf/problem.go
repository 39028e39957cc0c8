package conf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrUnknownKey is wrapped by the Problem of an undefined key.
var ErrUnknownKey = errors.New("unknown key")

// ErrRefused is wrapped by the Problem of a key that is known but not
// available (Key.Refuse).
var ErrRefused = errors.New("not available")

// A Problem is one error in the configuration.
type Problem struct {
	Key    string // the key it is about; "" if Err tells, or if it is about no single key
	Origin Origin // where; a zero Origin is omitted from the text
	Err    error  // what is wrong
	Hint   string // what to do; "" if Err says it all
}

// Error returns one line: "KEY: what is wrong (place); what to do".
// Unprintable characters are escaped, because keys and values come from
// outside. If Err already begins with the key or ends with the place, they are
// not repeated.
func (p *Problem) Error() string {
	var b strings.Builder
	text := ""
	if p.Err != nil {
		text = p.Err.Error()
	}
	if p.Key != "" && !strings.HasPrefix(text, p.Key+" ") && !strings.HasPrefix(text, p.Key+":") {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(text)
	if place := p.Origin.Place(); place != "" && !p.Origin.endsText(text) {
		b.WriteString(" (" + place + ")")
	}
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return oneLine(b.String())
}

// Unwrap returns Err.
func (p *Problem) Unwrap() error { return p.Err }

// Problems holds all errors found, strongest source first and within one
// source in the order of lines or arguments.
type Problems []error

// Error returns one line per problem, without a newline at the end.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, err := range p {
		lines[i] = oneLine(err.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems, for errors.Is and errors.As.
func (p Problems) Unwrap() []error { return p }

// maxProblems bounds the errors of one reader or check, so that a file of
// garbage does not cause more messages than anybody reads.
const maxProblems = 100

// add appends err, unless there are too many already. A joined error
// (errors.Join) is added as its parts.
func (p *Problems) add(err error) {
	if err == nil {
		return
	}
	// fmt.Errorf with two %w wraps several errors too, but is one message.
	if many, ok := err.(interface{ Unwrap() []error }); ok && strings.Contains(err.Error(), "\n") {
		for _, e := range many.Unwrap() {
			p.add(e)
		}
		return
	}
	if many, ok := err.(Problems); ok { // of one or none
		for _, e := range many {
			p.add(e)
		}
		return
	}
	switch {
	case len(*p) < maxProblems:
		*p = append(*p, err)
	case len(*p) == maxProblems:
		more := &Problem{Err: fmt.Errorf("more than %d problems of this kind; the rest are not listed", maxProblems)}
		if last, ok := (*p)[maxProblems-1].(*Problem); ok {
			more.Origin = last.Origin
		}
		*p = append(*p, more)
	}
}

// full reports whether add would drop a further error.
func (p Problems) full() bool { return len(p) > maxProblems }

// err returns the problems in their stable order, or nil if there are none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, comparePlace)
	return p
}

// comparePlace orders errors by the strength of their source, then by file and
// line. Errors without an origin come last.
func comparePlace(a, b error) int {
	x, y := placeOf(a), placeOf(b)
	return cmp.Or(
		cmp.Compare(y.Source, x.Source),
		cmp.Compare(x.File, y.File),
		cmp.Compare(x.Line, y.Line),
	)
}

func placeOf(err error) Origin {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Origin
	}
	return Origin{}
}

// oneLine escapes characters that would break a line or control a terminal.
func oneLine(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\uFFFD' && s[i] != "\uFFFD"[0]: // a byte that is not UTF-8
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// maxQuoted is how much of a value a message shows, in bytes.
const maxQuoted = 60

// quote returns text in quotes for a message, truncated if it is long.
func quote(text string) string {
	if len(text) > maxQuoted {
		return strconv.Quote(text[:maxQuoted]) + "..."
	}
	return strconv.Quote(text)
}
