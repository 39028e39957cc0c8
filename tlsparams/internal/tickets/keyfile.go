package tickets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// ParseKeys reads a ticket key file: 48 or 80 random bytes, as nginx and
// haproxy make them, or lines of at least 32 bytes in hex or base64, where '#'
// starts a comment. A last line of an odd length that does not end was cut. The error follows the file's name and shows no content.
func ParseKeys(data []byte) ([][]byte, error) {
	// Random bytes are no text. Text that is cut may well have that length.
	if (len(data) == 48 || len(data) == 80) && !isText(data) {
		if len(bytes.Trim(data, "\x00")) == 0 {
			return nil, fmt.Errorf("holds zeros and no key: it is damaged; make one with: openssl rand 80")
		}
		return [][]byte{bytes.Clone(data)}, nil
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // as some editors write
	var keys [][]byte
	lines := bytes.Split(data, []byte("\n"))
	for i, line := range lines {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		k := decode(line)
		if len(k) < 32 {
			return nil, fmt.Errorf("holds no ticket key in line %d: a key is 32 random bytes or more in hex or base64, as from: openssl rand -base64 48", i+1)
		}
		if i == len(lines)-1 && len(k)%16 != 0 && len(keys) > 0 && len(keys[0])%16 == 0 {
			return nil, fmt.Errorf("is cut short: the key in line %d has %d bytes, and the line does not end", i+1, len(k))
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("holds no ticket key; make one with: openssl rand -base64 48")
	}
	return keys, nil
}

func isText(data []byte) bool {
	for _, c := range data {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c > '~' {
			return false
		}
	}
	return true
}

func decode(line []byte) []byte {
	if k, err := hex.DecodeString(string(line)); err == nil {
		return k
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding} {
		if k, err := enc.DecodeString(string(line)); err == nil {
			return k
		}
	}
	return nil
}
