package tickets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// TestDamagedKeyFiles: a file that was cut, or is a hole left by a crash, is no
// key file, and no error shows a part of a key.
func TestDamagedKeyFiles(t *testing.T) {
	raw := make([]byte, 80)
	for i := range raw {
		raw[i] = byte(37*i + 11)
	}
	line := base64.StdEncoding.EncodeToString(raw)
	for name, c := range map[string]struct {
		data string
		keys int
	}{
		"80 bytes":              {string(raw), 1},
		"48 bytes":              {string(raw[:48]), 1},
		"two lines":             {line + "\n" + line + "\n", 2},
		"hex and comments":      {"\xef\xbb\xbf# ours\n" + hex.EncodeToString(raw) + "\r\n", 1},
		"second cut":            {line + "\n" + line[:60], 0},
		"second cut elsewhere":  {line + "\n" + line[:61], 0},
		"cut to 80 characters":  {line[:40] + "\n" + line[:39], 0},
		"cut to 48 characters":  {"# " + line[:46], 0},
		"zeros":                 {string(make([]byte, 48)), 0},
		"zeros at the end":      {line + "\n" + string(make([]byte, 100)), 0},
		"other number of bytes": {string(raw[:79]), 0},
		"one line of 33 bytes":  {base64.StdEncoding.EncodeToString(raw[:33]), 1},
		"nothing":               {"", 0},
		"comments only":         {"# none\n", 0},
	} {
		keys, err := ParseKeys([]byte(c.data))
		if len(keys) != c.keys || (err == nil) != (c.keys > 0) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
		if err != nil && strings.Contains(err.Error(), line[:8]) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
		for _, k := range keys {
			if !bytes.Equal(k, raw[:len(k)]) {
				t.Errorf("%s: another key", name)
			}
		}
	}
}
