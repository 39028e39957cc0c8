package cipherlist

import (
	"errors"
	"fmt"
	"strings"
)

// ErrEmpty is returned for a list that selects no suite of crypto/tls.
var ErrEmpty = errors.New("selects no cipher suite that Go's crypto/tls has; try ECDHE+AESGCM:ECDHE+CHACHA20")

// set is a set of suites by index in suites().
type set uint32

// list is OpenSSL's working list: all suites that are not killed, selected or
// not. Where an unselected one stands decides where it comes back.
type list struct {
	order    []int
	selected set
}

// An operation is what an item does to the suites it names.
type operation byte

const (
	add     operation = 0
	remove  operation = '-'
	kill    operation = '!'
	toEnd   operation = '+'
	special operation = '@'
)

// Parse returns the suites that text selects, most wanted first. Names that
// are unknown, or known to OpenSSL only, select nothing, as there. The error
// says what in the text is wrong and follows the parameter's name.
func Parse(text string) ([]uint16, error) {
	all := suites()
	words := keywords(all)
	l := &list{}
	for i := range all {
		l.order = append(l.order, i)
	}
	rest := strings.TrimLeft(text, " ")
	if strings.HasPrefix(rest, "SUITEB") {
		return nil, errors.New("asks for a SUITEB profile, which also limits groups and signatures, and is not possible with Go's crypto/tls; name ECDHE-ECDSA suites here and groups with SSL_ecdh_curve")
	}
	if after, ok := strings.CutPrefix(text, "DEFAULT"); ok {
		l.apply(add, words["ALL"], all)
		text = after
	}
	for text != "" {
		if separator(text[0]) {
			text = text[1:]
			continue
		}
		var err error
		if text, err = l.item(text, words, all); err != nil {
			return nil, err
		}
	}
	var ids []uint16
	for _, i := range l.order {
		if l.selected&(1<<i) != 0 {
			ids = append(ids, all[i].id)
		}
	}
	if len(ids) == 0 {
		return nil, ErrEmpty
	}
	return ids, nil
}

func separator(c byte) bool { return strings.IndexByte(": ;,", c) >= 0 }

func wordChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-.=", c) >= 0
}

// keywords maps each keyword and suite name to what it selects.
func keywords(all []suite) map[string]set {
	m := make(map[string]set)
	for i, s := range all {
		m[s.name] |= 1 << i
		for _, w := range strings.Fields(s.tags) {
			m[w] |= 1 << i
		}
	}
	return m
}

// item applies the first item of text and returns the rest.
func (l *list) item(text string, words map[string]set, all []suite) (string, error) {
	op := add
	switch text[0] {
	case '-', '!', '+', '@':
		op, text = operation(text[0]), text[1:]
	}
	which, known := set(1<<len(all)-1), true
	high, fips := false, false
	for {
		n := 0
		for n < len(text) && wordChar(text[n]) {
			n++
		}
		if n == 0 {
			return "", fmt.Errorf("has something that is no name at %.20q", text)
		}
		word := text[:n]
		text = text[n:]
		if op == special {
			return skipItem(text), l.command(word, all)
		}
		s, ok := words[word]
		high, fips = high || word == "HIGH", fips || word == "FIPS"
		// To OpenSSL these two are grades of strength, and no grade is both.
		known = ok && !(high && fips)
		if !known {
			return skipItem(text), nil
		}
		which &= s
		if !strings.HasPrefix(text, "+") {
			break
		}
		text = text[1:]
	}
	l.apply(op, which, all)
	return text, nil
}

func skipItem(text string) string {
	if i := strings.IndexAny(text, ": ;,"); i >= 0 {
		return text[i:]
	}
	return ""
}

// command does @STRENGTH and @SECLEVEL=N.
func (l *list) command(word string, all []suite) error {
	level, isLevel := strings.CutPrefix(word, "SECLEVEL=")
	switch {
	case word == "STRENGTH":
		for _, bits := range []int{256, 128} {
			var s set
			for i := range all {
				if all[i].bits == bits {
					s |= 1 << i
				}
			}
			l.apply(toEnd, s, all)
		}
	case isLevel && (level == "0" || level == "1" || level == "2"):
		// Suites and keys below these levels are refused by crypto/tls or at start.
	case isLevel && (level == "3" || level == "4" || level == "5"):
		return fmt.Errorf("has @SECLEVEL=%s, which also limits keys and groups, and is not possible with Go's crypto/tls; name the suites here and the groups with SSL_ecdh_curve", level)
	default:
		return fmt.Errorf("has the unknown command %.20q; @STRENGTH and @SECLEVEL=0 to 2 are known", "@"+word)
	}
	return nil
}

// apply does op to the suites in which, in list order, as OpenSSL does: what
// is removed goes to the front, so that it comes back first.
func (l *list) apply(op operation, which set, all []suite) {
	var hit, other []int
	for _, i := range l.order {
		is := which&(1<<i) != 0
		selected := l.selected&(1<<i) != 0
		if is && (op == kill || selected == (op != add)) {
			hit = append(hit, i)
		} else {
			other = append(other, i)
		}
	}
	for _, i := range hit {
		switch op {
		case add:
			l.selected |= 1 << i
		case remove, kill:
			l.selected &^= 1 << i
		}
	}
	switch op {
	case kill:
		l.order = other
	case remove:
		l.order = append(hit, other...)
	default:
		l.order = append(other, hit...)
	}
}
