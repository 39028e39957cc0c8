package certfile

import (
	"bytes"
	"encoding/pem"
	"strings"
)

// WithoutKeys returns what of a file may be given to a process that is to have
// no private keys: PEM without the blocks of keys. ok is false if the file is
// in another form and holds a key. Encrypted keys count as keys.
func WithoutKeys(data []byte) (rest []byte, ok bool) {
	if bytes.Contains(data, []byte("PRIVATE KEY")) {
		return pemWithoutKeys(data), true
	}
	if looksPEM(data) {
		return data, true
	}
	if _, reason := parseKeyDER(data); reason == "" || isPKCS12(data) || isEncryptedPKCS8(data) {
		return nil, false
	}
	return data, true
}

// pemWithoutKeys writes anew what can be read, so that nothing of a damaged
// block stays.
func pemWithoutKeys(data []byte) []byte {
	var out bytes.Buffer
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return out.Bytes()
		}
		if !strings.Contains(b.Type, "PRIVATE KEY") {
			pem.Encode(&out, &pem.Block{Type: b.Type, Bytes: b.Bytes})
		}
	}
}
