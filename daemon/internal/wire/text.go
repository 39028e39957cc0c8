package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes of a process's word a text that can be shown anywhere: at most
// max bytes, on one line, and nothing in it that a terminal obeys. What is not
// printable becomes % and two hex digits, as in the log.
func Clean(s string, max int) string {
	if len(s) <= max && plain(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		text := s[:n]
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			text = HexBytes(text)
		}
		if b.Len()+len(text) > max {
			break
		}
		b.WriteString(text)
		s = s[n:]
	}
	return b.String()
}

func HexBytes(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

const (
	maxDepth   = 8  // of objects and lists in each other; the deepest message has five
	maxField   = 64 // bytes of the name of a field
	maxMembers = 4096
)

// checkShape refuses JSON that means one thing to one reader and another to
// the next, or costs more than it says: a field given twice, values nested
// without need, and anything behind the message.
func checkShape(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return ErrUnreadable
	}
	if err := checkObject(d, 1); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("trailing data after the message")
	}
	return nil
}

// checkObject reads an object, whose brace has been read.
func checkObject(d *json.Decoder, depth int) error {
	seen := make(map[string]struct{})
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return ErrUnreadable
		}
		name, ok := t.(string)
		if !ok || len(name) > maxField || !plain(name) || len(seen) >= maxMembers {
			return errors.New("a field with an invalid name")
		}
		// encoding/json takes names in any case.
		name = strings.ToLower(name)
		if _, ok := seen[name]; ok {
			return fmt.Errorf("duplicate field %s", name)
		}
		seen[name] = struct{}{}
		if err := checkValue(d, depth); err != nil {
			return err
		}
	}
	return endOf(d)
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return ErrUnreadable
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("values are nested more than %d deep", maxDepth)
	}
	if open == '{' {
		return checkObject(d, depth+1)
	}
	n := 0
	for d.More() {
		if n++; n > maxMembers {
			return fmt.Errorf("a list of more than %d", maxMembers)
		}
		if err := checkValue(d, depth+1); err != nil {
			return err
		}
	}
	return endOf(d)
}

func endOf(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return ErrUnreadable
	}
	return nil
}
