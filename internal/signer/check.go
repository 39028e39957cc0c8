package signer

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"strings"
)

// context begins every message that a server signs in TLS 1.3 (RFC 8446,
// 4.4.3). The hash of the transcript follows.
var context = strings.Repeat(" ", 64) + "TLS 1.3, server CertificateVerify\x00"

// clientContext begins what a client signs there. It is as long.
var clientContext = strings.Repeat(" ", 64) + "TLS 1.3, client CertificateVerify\x00"

// A version is the TLS version that a message to sign belongs to.
type version int

const (
	none version = iota
	tls12
	tls13
	tls13Client // a client's signature
)

// versionOf determines the version whose handshake signs msg, by its complete
// form.
func versionOf(msg []byte) version {
	if n := len(msg) - len(context); n == 32 || n == 48 {
		switch string(msg[:len(context)]) {
		case context:
			return tls13
		case clientContext:
			return tls13Client
		}
	}
	if isParams(msg) {
		return tls12
	}
	return none
}

// randoms is the length of client_random and server_random, which TLS 1.2
// signs before ServerECDHParams.
const randoms = 64

// isParams reports whether msg is what a server signs in TLS 1.2: two random
// numbers and ServerECDHParams (RFC 8422, 5.4), which are the type of a named
// curve, the curve, and the length and bytes of a public key. The key is
// validated: 132 unchecked bytes have room for a whole certificate.
func isParams(msg []byte) bool {
	const head = randoms + 4
	if len(msg) < head || msg[randoms] != 3 {
		return false
	}
	curve, size := curveOf(tls.CurveID(msg[randoms+1])<<8 | tls.CurveID(msg[randoms+2]))
	if curve == nil || int(msg[randoms+3]) != size || len(msg) != head+size {
		return false
	}
	point := msg[head:]
	if curve == ecdh.X25519() {
		return isCanonical(point)
	}
	_, err := curve.NewPublicKey(point) // uncompressed, and on the curve
	return err == nil
}

// curveOf returns a curve of TLS 1.2 and the length of its public keys there.
func curveOf(id tls.CurveID) (ecdh.Curve, int) {
	switch id {
	case tls.X25519:
		return ecdh.X25519(), 32
	case tls.CurveP256:
		return ecdh.P256(), 65
	case tls.CurveP384:
		return ecdh.P384(), 97
	case tls.CurveP521:
		return ecdh.P521(), 133
	}
	return nil, 0
}

// isCanonical reports whether an X25519 key, little-endian, is less than
// 2^255-19. crypto/ecdh accepts any 32 bytes, but real public keys are always
// encoded canonically.
func isCanonical(key []byte) bool {
	if key[31] != 0x7f {
		return key[31] < 0x7f
	}
	for _, b := range key[1:31] {
		if b != 0xff {
			return true
		}
	}
	return key[0] < 0xed
}

// mark ends the server's random number in TLS 1.2 if the server supports TLS
// 1.3 too.
const mark = "DOWNGRD\x01"

// allows reports whether a key with this use may sign a message of version v.
func (u Use) allows(v version, msg []byte) status {
	switch {
	case v == none, v == tls13Client && !u.Client:
		return statusMessage
	case v == tls13 && !u.TLS13, v == tls12 && !u.TLS12:
		return statusVersion
	case v == tls12 && u.Marked && string(msg[randoms-len(mark):randoms]) != mark:
		return statusMessage
	case v == tls12 && isDocument(msg):
		return statusDocument
	}
	return statusSigned
}

// A form is how a signature is made.
type form struct {
	opts   crypto.SignerOpts
	hash   crypto.Hash // of the message; 0 signs it as it is
	hashed bool        // the message is a hash
}

// formOf returns how key signs a request, or why it must not.
func formOf(k *held, r request) (form, status) {
	if r.scheme == legacy {
		return legacyForm(k, r.msg)
	}
	v := versionOf(r.msg)
	if st := k.use.allows(v, r.msg); st != statusSigned {
		return form{}, st
	}
	if v == tls13Client {
		v = tls13
	}
	f, ok := form{}, false
	switch pub := k.pub.(type) {
	case *rsa.PublicKey:
		f, ok = rsaForm(tls.SignatureScheme(r.scheme), v)
	case *ecdsa.PublicKey:
		f, ok = ecdsaForm(tls.SignatureScheme(r.scheme), v, pub.Curve.Params().BitSize)
	case ed25519.PublicKey:
		f, ok = form{opts: crypto.Hash(0)}, tls.SignatureScheme(r.scheme) == tls.Ed25519
	}
	if !ok {
		return form{}, statusScheme
	}
	return f, statusSigned
}

func rsaForm(s tls.SignatureScheme, v version) (form, bool) {
	h := crypto.Hash(0)
	pss := false
	switch s {
	case tls.PSSWithSHA256, tls.PKCS1WithSHA256:
		h, pss = crypto.SHA256, s == tls.PSSWithSHA256
	case tls.PSSWithSHA384, tls.PKCS1WithSHA384:
		h, pss = crypto.SHA384, s == tls.PSSWithSHA384
	case tls.PSSWithSHA512, tls.PKCS1WithSHA512:
		h, pss = crypto.SHA512, s == tls.PSSWithSHA512
	}
	switch {
	case h == 0 || !pss && v == tls13:
		return form{}, false
	case pss:
		return form{opts: &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}, hash: h}, true
	}
	return form{opts: h, hash: h}, true
}

// ecdsaForm: TLS 1.3 ties the hash to the curve, TLS 1.2 does not.
func ecdsaForm(s tls.SignatureScheme, v version, bits int) (form, bool) {
	h, size := crypto.Hash(0), 0
	switch s {
	case tls.ECDSAWithP256AndSHA256:
		h, size = crypto.SHA256, 256
	case tls.ECDSAWithP384AndSHA384:
		h, size = crypto.SHA384, 384
	case tls.ECDSAWithP521AndSHA512:
		h, size = crypto.SHA512, 521
	}
	return form{opts: h, hash: h}, h != 0 && (v == tls12 || bits == size)
}

// legacyForm is for TLS 1.0 and 1.1, where only the hash is known.
func legacyForm(k *held, msg []byte) (form, status) {
	if !k.use.Old {
		return form{}, statusLegacy
	}
	switch k.pub.(type) {
	case *rsa.PublicKey:
		if len(msg) == crypto.MD5SHA1.Size() {
			return form{opts: crypto.MD5SHA1, hashed: true}, statusSigned
		}
	case *ecdsa.PublicKey:
		if len(msg) == crypto.SHA1.Size() {
			return form{opts: crypto.SHA1, hashed: true}, statusSigned
		}
	}
	return form{}, statusLegacy
}

// schemeOf is the inverse, for the side without keys: the scheme of the
// signature that crypto/tls requests, or 0.
func schemeOf(pub crypto.PublicKey, opts crypto.SignerOpts) uint16 {
	h := opts.HashFunc()
	var s tls.SignatureScheme
	switch pub.(type) {
	case ed25519.PublicKey:
		if h == 0 {
			s = tls.Ed25519
		}
	case *ecdsa.PublicKey:
		s = map3(h, tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512)
	case *rsa.PublicKey:
		if _, pss := opts.(*rsa.PSSOptions); pss {
			s = map3(h, tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512)
		} else {
			s = map3(h, tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512)
		}
	}
	return uint16(s)
}

func map3(h crypto.Hash, s256, s384, s512 tls.SignatureScheme) tls.SignatureScheme {
	switch h {
	case crypto.SHA256:
		return s256
	case crypto.SHA384:
		return s384
	case crypto.SHA512:
		return s512
	}
	return 0
}
