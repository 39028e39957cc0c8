package tickets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// ParseKeys reads a ticket key file: 48 or 80 random bytes, as nginx and
// haproxy make them, or lines of at least 32 bytes in hex or base64, where '#'
// starts a comment. The error follows the file's name and shows no content.
func ParseKeys(data []byte) ([][]byte, error) {
	if len(data) == 48 || len(data) == 80 {
		return [][]byte{bytes.Clone(data)}, nil
	}
	var keys [][]byte
	for i, line := range bytes.Split(data, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		k := decode(line)
		if len(k) < 32 {
			return nil, fmt.Errorf("holds no ticket key in line %d: a key is 32 random bytes or more in hex or base64, as from: openssl rand -base64 48", i+1)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("holds no ticket key; make one with: openssl rand -base64 48")
	}
	return keys, nil
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
