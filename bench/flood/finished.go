package flood

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
)

// badFinished returns the record with which the handshake fails as late as it
// can: encrypted as it should be, but with a wrong proof inside.
func (c *client) badFinished(hello, serverHello, share []byte) ([]byte, error) {
	pub, err := ecdh.X25519().NewPublicKey(share)
	if err != nil {
		return nil, err
	}
	secret, err := c.key.ECDH(pub)
	if err != nil {
		return nil, err
	}
	traffic, err := clientSecret(secret, hello[recordHeaderSize:], serverHello)
	if err != nil {
		return nil, err
	}
	key, err := expand(traffic, "key", nil, 16)
	if err != nil {
		return nil, err
	}
	iv, err := expand(traffic, "iv", nil, 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain := append(message(typeFinished, random(32)), recordHandshake)
	header := record(recordData, make([]byte, len(plain)+aead.Overhead()))[:recordHeaderSize]
	return aead.Seal(header, iv, plain, header), nil // the first record: its nonce is iv
}

// clientSecret returns the client's handshake traffic secret (RFC 8446, 7.1).
func clientSecret(shared, hello, serverHello []byte) ([]byte, error) {
	early, err := hkdf.Extract(sha256.New, make([]byte, 32), nil)
	if err != nil {
		return nil, err
	}
	empty := sha256.Sum256(nil)
	derived, err := expand(early, "derived", empty[:], 32)
	if err != nil {
		return nil, err
	}
	handshake, err := hkdf.Extract(sha256.New, shared, derived)
	if err != nil {
		return nil, err
	}
	transcript := sha256.New()
	transcript.Write(hello)
	transcript.Write(serverHello)
	return expand(handshake, "c hs traffic", transcript.Sum(nil), 32)
}

func expand(secret []byte, label string, context []byte, n int) ([]byte, error) {
	label = "tls13 " + label
	info := append([]byte{byte(n >> 8), byte(n), byte(len(label))}, label...)
	info = append(append(info, byte(len(context))), context...)
	return hkdf.Expand(sha256.New, secret, string(info), n)
}
