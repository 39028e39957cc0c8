package trust

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxAllowed bounds the entries of one SSL_allow_file: a client is compared
// with each.
const maxAllowed = 100000

// AddAllowed adds the lines of a file to a rule and returns how many they are.
func AddAllowed(r *Rule, data []byte) (n int, err error) {
	sc := bufio.NewScanner(bytes.NewReader(data))
	for at := 1; sc.Scan(); at++ {
		line := sc.Text()
		if at == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // as some editors write
		}
		if reason := notText(line); reason != "" {
			return n, fmt.Errorf("line %d holds %s", at, reason)
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if n++; n > maxAllowed {
			return n, fmt.Errorf("has more than %d entries", maxAllowed)
		}
		if err := addEntry(r, line); err != nil {
			return n, fmt.Errorf("line %d %w", at, err)
		}
	}
	if err := sc.Err(); err != nil {
		return n, fmt.Errorf("cannot be read line by line: %w", err)
	}
	return n, nil
}

// notText is what a line holds that no line of text does, or "": a name with
// it would be that of nobody.
func notText(line string) string {
	switch {
	case !utf8.ValidString(line):
		return "something that is not UTF-8"
	case strings.ContainsFunc(line, func(r rune) bool { return r == 0xfeff || unicode.IsControl(r) && r != '\t' && r != '\r' }):
		return "a control character or a byte order mark"
	}
	return ""
}

func addEntry(r *Rule, line string) error {
	kind, text := line, ""
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		kind, text = line[:i], line[i+1:]
	}
	if kind == "pin" {
		pin, err := ParsePin(strings.TrimSpace(text))
		if err != nil {
			return errors.New("has a pin that is wrong: " + err.Error())
		}
		r.Pins = append(r.Pins, pin)
		r.Allow.AddPin(pin) // else everyone with a good chain could come, too
		return nil
	}
	if !slices.Contains(Kinds(), Kind(kind)) {
		return fmt.Errorf("has %.40q where cn, ou, dns, email, ip, uri, spki or pin belongs", kind)
	}
	return r.Allow.Add(Kind(kind), text)
}
