package route

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A pattern is a name, a wildcard for one label (*.example.com), or a regular
// expression between slashes.
type pattern struct {
	text string
	expr *regexp.Regexp // nil if it is no expression
}

const maxPattern = 1024

func parsePattern(text string) (pattern, error) {
	switch {
	case text == "":
		return pattern{}, errors.New("it is empty")
	case len(text) > maxPattern:
		return pattern{}, fmt.Errorf("it has %d bytes; at most %d are allowed", len(text), maxPattern)
	case len(text) > 1 && text[0] == '/' && text[len(text)-1] == '/':
		expr, err := regexp.Compile(text[1 : len(text)-1])
		if err != nil {
			return pattern{}, fmt.Errorf("%s: %w", text, err)
		}
		return pattern{text, expr}, nil
	}
	return pattern{text: text}, nil
}

// A names condition holds for one of several names.
type names struct {
	k     kind
	texts []string
	exact map[string]bool
	wild  map[string]bool // what follows the first label of wildcards, with its dot
	exprs []pattern
}

// SNI holds for clients who ask for one of these names: exact ones, wildcards
// for one label (*.example.com), or regular expressions between slashes, in the
// syntax of package regexp. Case does not matter. "" stands for clients that
// ask for none.
func SNI(values ...string) (Condition, error) { return newNames(kindSNI, hostPattern, values) }

// ALPN holds for clients with one of these protocols, exactly: the one that was
// agreed on, or, of clients that are passed on undecrypted, one that they offer.
func ALPN(values ...string) (Condition, error) {
	return newNames(kindALPN, func(v string) (string, error) {
		if v == "" || len(v) > 255 {
			return "", fmt.Errorf("%q is no protocol", v)
		}
		return v, nil
	}, values)
}

// hostPattern checks a host name or a wildcard, and puts it into lower case.
func hostPattern(v string) (string, error) {
	low := strings.ToLower(strings.TrimSuffix(v, "."))
	name := strings.TrimPrefix(low, "*.")
	switch {
	case v == "":
		return "", nil
	case strings.Contains(name, "*"):
		return "", fmt.Errorf("%q: a star stands for the whole first label only, as in *.example.com; write an expression between slashes for more", v)
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("/,:", r) }):
		return "", fmt.Errorf("%q is no host name; names in other alphabets are written as xn--", v)
	}
	return low, nil
}

func newNames(k kind, check func(string) (string, error), values []string) (Condition, error) {
	n := &names{k: k, texts: slices.Clone(values), exact: make(map[string]bool), wild: make(map[string]bool)}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s: it has no value", k)
	}
	for _, v := range values {
		if len(v) > 1 && v[0] == '/' && v[len(v)-1] == '/' && k != kindALPN {
			p, err := parsePattern(v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			n.exprs = append(n.exprs, p)
			continue
		}
		low, err := check(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		if rest, ok := strings.CutPrefix(low, "*"); ok && k != kindALPN {
			n.wild[rest] = true
		} else {
			n.exact[low] = true
		}
	}
	return n, nil
}

func (n *names) String() string { return written(n.k, n.texts) }
func (n *names) kind() kind     { return n.k }

// matches reports whether one of the names is name.
func (n *names) matches(name string) bool {
	if n.exact[name] {
		return true
	}
	if len(n.wild) > 0 {
		if i := strings.IndexByte(name, '.'); i > 0 && n.wild[name[i:]] {
			return true
		}
	}
	return name != "" && slices.ContainsFunc(n.exprs, func(p pattern) bool { return p.expr.MatchString(name) })
}

func (n *names) holds(f *Facts) verdict {
	if f.Plain && !f.Datagram && f.tls == More {
		return More
	}
	ok := false
	if n.k == kindALPN {
		ok = slices.ContainsFunc(f.ALPN, n.matches)
	} else {
		ok = n.matches(f.ServerName) && (f.Decrypted || f.tls == Yes)
	}
	if ok {
		return Yes
	}
	return No
}
