package tlsparams

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"netserver/tlsparams/trust"
)

// maxAllowed bounds the entries of one SSL_allow_file: a client is compared
// with each.
const maxAllowed = 100000

// allowFiles reads the allow lists and pins that stand in files. One without
// any entry is refused: as a list it would let everyone in.
func (b *siteBuilder) allowFiles() {
	for _, f := range b.c.AllowFiles {
		data, ok := b.read("SSL_allow_file", f)
		if !ok {
			continue
		}
		b.note("allow file", data)
		n, err := addAllowed(b.site.rule, data)
		switch {
		case err != nil:
			b.fail("SSL_allow_file", f, err.Error(), err)
		case n == 0:
			b.fail("SSL_allow_file", f, "holds no entry, and would let everyone in; to let nobody in, name somebody who does not exist", nil)
		}
	}
}

// addAllowed adds the lines of a file to a rule and returns how many they are.
func addAllowed(r *trust.Rule, data []byte) (n int, err error) {
	sc := bufio.NewScanner(bytes.NewReader(data))
	for at := 1; sc.Scan(); at++ {
		line := strings.TrimSpace(sc.Text())
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

func addEntry(r *trust.Rule, line string) error {
	kind, text, _ := strings.Cut(line, " ")
	if kind == "pin" {
		pin, err := trust.ParsePin(strings.TrimSpace(text))
		if err != nil {
			return errors.New("has a pin that is wrong: " + err.Error())
		}
		r.Pins = append(r.Pins, pin)
		r.Allow.AddPin(pin) // else everyone with a good chain could come, too
		return nil
	}
	if !slices.Contains(trust.Kinds(), trust.Kind(kind)) {
		return fmt.Errorf("has %.40q where cn, ou, dns, email, ip, uri, spki or pin belongs", kind)
	}
	return r.Allow.Add(trust.Kind(kind), text)
}
