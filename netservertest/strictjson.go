package netservertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// StrictJSON returns why a line is not one JSON object in which no key stands
// twice, at any depth, or nil.
func StrictJSON(line []byte) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("begins with %v, not with an object", t)
	}
	if err := strictRest(d, '}'); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something stands after the object: %v", err)
	}
	return nil
}

// strictRest reads to the end of an object or array.
func strictRest(d *json.Decoder, end json.Delim) error {
	seen := make(map[string]bool)
	for {
		t, err := d.Token()
		switch {
		case err != nil:
			return err
		case t == end:
			return nil
		}
		if end == '}' {
			key := t.(string)
			if seen[key] {
				return fmt.Errorf("the key %q stands twice", key)
			}
			seen[key] = true
			if t, err = d.Token(); err != nil {
				return err
			}
		}
		if open, ok := t.(json.Delim); ok {
			if err := strictRest(d, open+2); err != nil { // } and ] are two after { and [
				return err
			}
		}
	}
}
