package certfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"strings"
)

// ErrKey is the error for a file that cannot be given away without its private
// key.
var ErrKey = errors.New("holds a private key")

// WithoutKeys returns what of a file may be given to a process that is to have
// no private keys: PEM without the blocks of keys, other forms as they are.
// The error follows the file's name; it is ErrKey if the file is in another
// form and holds a key. Encrypted keys count as keys.
func WithoutKeys(data []byte) ([]byte, error) {
	bs, err := Blocks(data)
	if err != nil {
		return nil, err
	}
	if bs != nil {
		return pemWithoutKeys(data, bs), nil
	}
	if bytes.Contains(data, []byte("PRIVATE KEY")) {
		return nil, ErrKey // a part of one, perhaps
	}
	if _, reason := parseKeyDER(data); reason == "" || isPKCS12(data) || isEncryptedPKCS8(data) {
		return nil, ErrKey
	}
	return data, nil
}

// pemWithoutKeys writes the other blocks anew, so that nothing of a key stays.
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
