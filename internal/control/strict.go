package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// checkObject reports whether b is one JSON object whose members have only the
// given names, each once and spelt exactly so. encoding/json alone accepts
// duplicate names in any case and uses the last: the meaning of a request
// would then depend on its reader (RFC 8259, 4).
func checkObject(b []byte, names map[string]bool) error {
	d := json.NewDecoder(bytes.NewReader(b))
	t, err := d.Token()
	if err != nil {
		return plain(err)
	}
	if t != json.Delim('{') {
		return errors.New("it is not an object")
	}
	seen := make(map[string]bool)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return plain(err)
		}
		name, _ := t.(string) // a member's name is always a string
		switch {
		case !names[name]:
			return fmt.Errorf("unknown field %q", cut(name))
		case seen[name]:
			return fmt.Errorf("%s is given twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return plain(err)
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return plain(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is data after the object")
	}
	return nil
}
