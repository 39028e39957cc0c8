package access

import (
	"fmt"
	"regexp"
	"strings"
)

// A perlError is Perl syntax that Go's regexp lacks or reads differently.
type perlError struct{ construct, what, advice string }

func (e *perlError) Error() string {
	return fmt.Sprintf("%s is %s, which Go's regular expressions do not have: %s", e.construct, e.what, e.advice)
}

// advice that several constructs share.
const (
	noLook   = "write what must not match as a deny rule and what may match as an allow rule"
	spellOut = "write out the alternatives, as in (?:a|b)"
	dropIt   = "leave it out; a rule always matches the whole text"
	asClass  = `write the characters as a class, such as [ \t]`
)

// groups are the constructs that begin with "(?" or "(*", by the text after
// the parenthesis, longer ones first.
var groups = []struct{ begin, what, advice string }{
	{"?<=", "a lookbehind", noLook},
	{"?<!", "a negative lookbehind", noLook},
	{"?=", "a lookahead", noLook},
	{"?!", "a negative lookahead", noLook},
	{"?>", "an atomic group", "write (?: instead"},
	{"?#", "a comment", "leave it out"},
	{"?|", "a branch reset", "write (?: instead"},
	{"?(", "a conditional", spellOut},
	{"??{", "code", spellOut},
	{"?{", "code", spellOut},
	{"?&", "a recursion", spellOut},
	{"?R", "a recursion", spellOut},
	{"?P>", "a recursion", spellOut},
	{"?P=", "a backreference", spellOut},
	{"?'", "a quoted group name", "write (?: instead, or (?<name>"},
	{"?^", "a reset of the flags", "write (?-i: or (?i: instead"},
	{"*", "a backtracking verb", "leave it out, or write ( and \\* for the characters themselves"},
}

// escapes are the letters with a meaning after a backslash in Perl that Go
// lacks or reads differently.
var escapes = map[byte]struct{ what, advice string }{
	'Z': {"the end before a line end", dropIt},
	'G': {"the end of the last match", dropIt},
	'K': {"a reset of the match's beginning", dropIt},
	'R': {"any line end", "leave it out; addresses and names have none"},
	'X': {"a grapheme", "write ."},
	'C': {"a single byte", "write ."},
	'N': {"any character but a line end, or a named one", "write . or the character"},
	'h': {"horizontal blanks", asClass},
	'H': {"anything but horizontal blanks", asClass},
	'v': {"vertical blanks", asClass},
	'V': {"anything but vertical blanks", asClass},
	'g': {"a backreference", spellOut},
	'k': {"a backreference", spellOut},
	'e': {"an escape character", `write \x1b`},
	'c': {"a control character", `write it as \x and two digits`},
	'o': {"an octal number", `write it as \x{...}`},
	'Q': {"quoting, which has no effect in a rule", `write a \ before each of .*+?()[]{}|^$`},
	'E': {"the end of quoting", "leave it out"},
	'l': {"a change of case", "write the letter itself"},
	'u': {"a change of case", "write the letter itself"},
	'L': {"a change of case", "write the letters themselves"},
	'U': {"a change of case", "write the letters themselves"},
	'F': {"a change of case", "write the letters themselves"},
}

// quantifier matches a quantifier of Perl 5.34 and later: {2}, {2,}, {,3},
// {2,3}, with blanks allowed.
var (
	quantifier   = regexp.MustCompile(`^\{\s*(\d+\s*(,\s*\d*)?|,\s*\d+)\s*\}`)
	goQuantifier = regexp.MustCompile(`^\{\d+(,\d*)?\}`)
	numbered     = regexp.MustCompile(`^\?[+-]?\d+`)
	flagGroup    = regexp.MustCompile(`^\?[A-Za-z-]*[:)]`)
)

// findPerl returns the first construct of the expression s that Go lacks, or
// nil. It does not check whether s is well formed.
func findPerl(s string) *perlError {
	for i := 0; i < len(s); {
		var size int
		var err *perlError
		switch s[i] {
		case '\\':
			size, err = escape(s[i:])
		case '[':
			size, err = class(s[i:])
		case '(':
			size, err = 1, group(s[i:])
			if strings.HasPrefix(s[i:], "(?") {
				size = 2 // this ? is no repetition
			}
		case '*', '+', '?', '{':
			size, err = repetition(s[i:], i > 0)
		default:
			size = 1
		}
		if err != nil {
			return err
		}
		i += size
	}
	return nil
}

func escape(s string) (size int, err *perlError) {
	if len(s) < 2 {
		return 1, &perlError{`\ at the end`, "an escape of nothing", `write \\ for the character itself`}
	}
	c := s[1]
	if c >= '1' && c <= '9' {
		return 0, &perlError{s[:2], "a backreference", spellOut}
	}
	if (c == 'b' || c == 'B') && strings.HasPrefix(s[2:], "{") {
		return 0, &perlError{s[:3] + "...}", "a boundary by Unicode's rules", `write \` + string(c)}
	}
	if e, ok := escapes[c]; ok {
		return 0, &perlError{s[:2], e.what, e.advice}
	}
	if (c == 'x' || c == 'p' || c == 'P') && strings.HasPrefix(s[2:], "{") {
		if end := strings.IndexByte(s, '}'); end >= 0 {
			return end + 1, nil // these braces are no repetition
		}
	}
	return 2, nil
}

// class skips a bracketed class. An unclosed class is left to the parser.
func class(s string) (size int, err *perlError) {
	i := 1
	if strings.HasPrefix(s[i:], "^") {
		i++
	}
	if strings.HasPrefix(s[i:], "]") {
		i++ // the first one is a character
	}
	for i < len(s) {
		switch {
		case s[i] == ']':
			return i + 1, nil
		case s[i] == '\\':
			n, err := escape(s[i:])
			if err != nil {
				return 0, err
			}
			i += n
		case strings.HasPrefix(s[i:], "[:"):
			if end := strings.Index(s[i+2:], ":]"); end >= 0 {
				i += 2 + end + 2
				continue
			}
			i++
		case strings.HasPrefix(s[i:], "[=") || strings.HasPrefix(s[i:], "[."):
			return 0, &perlError{s[i : i+2], "a reserved POSIX class", "write the characters themselves"}
		default:
			i++
		}
	}
	return len(s), nil
}

func group(s string) *perlError {
	for _, g := range groups {
		if strings.HasPrefix(s[1:], g.begin) {
			return &perlError{"(" + g.begin, g.what, g.advice}
		}
	}
	if n := numbered.FindString(s[1:]); n != "" {
		return &perlError{"(" + n, "a recursion", spellOut}
	}
	for _, flag := range flagGroup.FindString(s[1:]) {
		switch flag {
		case 'x':
			return &perlError{"the flag x", "an expression with blanks and comments", "write it without them"}
		case '?', '-', ':', ')', 'i', 'm', 's':
		default:
			return &perlError{"the flag " + string(flag), "a rule of matching", "leave it out"}
		}
	}
	return nil
}

// repetition checks a quantifier, which needs something before it.
func repetition(s string, after bool) (size int, err *perlError) {
	size = 1
	if s[0] == '{' {
		q := quantifier.FindString(s)
		if q == "" {
			return 1, nil // the character itself
		}
		if !goQuantifier.MatchString(s) {
			return 0, &perlError{q, "a repetition", "write {0,N} for {,N}, and no blanks"}
		}
		size = len(q)
	}
	if !after {
		return size, nil // the parser reports it
	}
	rest := s[size:]
	switch {
	case strings.HasPrefix(rest, "+"):
		return 0, &perlError{s[:size+1], "a possessive repetition", "leave out the last +"}
	case strings.HasPrefix(rest, "?"):
		size++
	}
	return size, nil
}
