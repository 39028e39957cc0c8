package certfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"strings"
)

// ErrKey is the error for a file that cannot be passed on without its private
// key.
var ErrKey = errors.New("holds a private key")

// WithoutKeys returns the part of a file that may be passed to a process
// without private keys: PEM without key blocks, other forms unchanged. The
// error follows the file's name; it is ErrKey if the file is in another form
// and holds a key. Encrypted keys count as keys.
func WithoutKeys(data []byte) ([]byte, error) {
	bs, err := Blocks(data)
	if err != nil {
		return nil, err
	}
	if bs != nil {
		return pemWithoutKeys(data, bs), nil
	}
	if bytes.Contains(data, []byte("PRIVATE KEY")) {
		return nil, ErrKey // perhaps a part of one
	}
	if _, reason := parseKeyDER(data); reason == "" || isPKCS12(data) || isEncryptedPKCS8(data) {
		return nil, ErrKey
	}
	return data, nil
}

// pemWithoutKeys re-encodes the other blocks, so that nothing of a key
// remains.
func pemWithoutKeys(data []byte, bs []Block) []byte {
	if !bytes.Contains(data, []byte("PRIVATE KEY")) {
		return data
	}
	var out bytes.Buffer
	for i := range bs {
		if b := &bs[i]; !strings.Contains(b.Type, "PRIVATE KEY") {
			pem.Encode(&out, &pem.Block{Type: b.Type, Bytes: b.Bytes})
		}
	}
	return out.Bytes()
}
