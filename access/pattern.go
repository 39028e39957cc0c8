package access

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// A pattern is one regular expression that must match a whole text. The form
// of most rules, a fixed beginning, anything, a fixed end, is compared without
// the regexp engine.
type pattern struct {
	head, tail string         // fixed beginning and end of a match
	exact      bool           // a match equals head
	re         *regexp.Regexp // the whole expression; nil if head and tail suffice
}

// A patternError is a regular expression that cannot be used.
type patternError struct{ err error }

func (e *patternError) Error() string { return e.err.Error() }
func (e *patternError) Unwrap() error { return e.err }

// parsePattern reads a regular expression as Perl would, as far as Go can.
func parsePattern(text string) (pattern, error) {
	if text == "" {
		return pattern{}, &patternError{fmt.Errorf("an empty expression matches nobody: write .* for everybody, or leave the rule out")}
	}
	if err := findPerl(text); err != nil {
		return pattern{}, &patternError{err}
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return pattern{}, &patternError{err}
	}
	p, simple := shape(tree)
	if simple {
		return p, nil
	}
	// The text was parsed on its own before, so no ")" in it can close this
	// group.
	p.re, err = regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return pattern{}, &patternError{err}
	}
	return p, nil
}

// fold returns the pattern for comparison with names: case-insensitive, as in
// DNS (RFC 4343). The owner of an address chooses how its name is spelt, and
// must not evade a deny rule by that.
func (p pattern) fold() (pattern, error) {
	f := pattern{head: strings.ToLower(p.head), tail: strings.ToLower(p.tail), exact: p.exact}
	if p.re == nil {
		return f, nil
	}
	var err error
	if f.re, err = regexp.Compile("(?i)" + p.re.String()); err != nil {
		return f, &patternError{err} // too large for Go, since classes of letters grow
	}
	return f, nil
}

// shape finds the fixed beginning and end of every match, and whether they are
// all of the expression.
func shape(tree *syntax.Regexp) (p pattern, simple bool) {
	parts := flatten(nil, tree)
	for len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		parts = parts[1:]
	}
	for len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText {
		parts = parts[:len(parts)-1]
	}
	for len(parts) > 0 && isLiteral(parts[0]) {
		p.head += string(parts[0].Rune)
		parts = parts[1:]
	}
	if len(parts) == 0 {
		p.exact = true
		return p, p.head != ""
	}
	for isLiteral(parts[len(parts)-1]) {
		p.tail = string(parts[len(parts)-1].Rune) + p.tail
		parts = parts[:len(parts)-1]
	}
	return p, len(parts) == 1 && isAnything(parts[0])
}

// flatten appends the parts of the sequence tree.
func flatten(parts []*syntax.Regexp, tree *syntax.Regexp) []*syntax.Regexp {
	switch tree.Op {
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range tree.Sub {
			parts = flatten(parts, sub)
		}
		return parts
	}
	return append(parts, tree)
}

func isLiteral(r *syntax.Regexp) bool {
	return r.Op == syntax.OpLiteral && r.Flags&syntax.FoldCase == 0
}

// isAnything reports whether r matches any text. Addresses and names contain
// no newlines.
func isAnything(r *syntax.Regexp) bool {
	return r.Op == syntax.OpStar && (r.Sub[0].Op == syntax.OpAnyCharNotNL || r.Sub[0].Op == syntax.OpAnyChar)
}

// match reports whether all of text matches. key is text for comparison with
// fixed beginnings and ends: in lower case for folded patterns.
func (p *pattern) match(key, text []byte) bool {
	if p.re != nil {
		return p.re.Match(text)
	}
	if p.exact {
		return string(key) == p.head
	}
	return len(key) >= len(p.head)+len(p.tail) && hasPrefix(key, p.head) && hasSuffix(key, p.tail)
}

func hasPrefix(text []byte, s string) bool {
	return len(text) >= len(s) && string(text[:len(s)]) == s
}

func hasSuffix(text []byte, s string) bool {
	return len(text) >= len(s) && string(text[len(text)-len(s):]) == s
}

// mayBeName reports whether the pattern could match a client's name. An exact
// address cannot.
func (p *pattern) mayBeName() bool {
	return !p.exact || isHostname(p.head)
}

// likeAddress reports whether the pattern was probably meant for addresses but
// may match names too: 10\..* also matches 10.example.com.
func (p *pattern) likeAddress() bool {
	return p.mayBeName() && len(p.head) > 0 && p.head[0] >= '0' && p.head[0] <= '9' && bytes.ContainsRune([]byte(p.head), '.')
}
