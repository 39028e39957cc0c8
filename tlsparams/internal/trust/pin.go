package trust

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// A Pin is the fingerprint of a certificate or of its public key.
type Pin struct {
	algo string
	pub  bool
	sum  string // binary
}

// ParsePin reads "[algo$][pub$]HEX", colons ignored. Without algo the length
// tells: 32 digits are md5, 40 sha1, 64 sha256. The error follows the
// parameter's name.
func ParsePin(text string) (Pin, error) {
	parts := strings.Split(strings.TrimSpace(text), "$")
	var p Pin
	digits := strings.ReplaceAll(parts[len(parts)-1], ":", "")
	parts = parts[:len(parts)-1]
	if len(parts) > 0 && parts[len(parts)-1] == "pub" {
		p.pub = true
		parts = parts[:len(parts)-1]
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) == 0 || len(parts) > 1 {
		return Pin{}, fmt.Errorf("%.100q is no fingerprint; the form is [sha256$][pub$]HEX", text)
	}
	if len(parts) == 1 {
		p.algo = strings.ToLower(parts[0])
	} else {
		p.algo = map[int]string{16: "md5", 20: "sha1", 32: "sha256"}[len(raw)]
	}
	h := newHash(p.algo)
	if h == nil {
		return Pin{}, fmt.Errorf("%.100q has no known algorithm; md5, sha1, sha256, sha384 and sha512 are known", text)
	}
	if len(raw) != h.Size() {
		return Pin{}, fmt.Errorf("%.100q has %d digits, %s has %d", text, len(digits), p.algo, 2*h.Size())
	}
	p.sum = string(raw)
	return p, nil
}

func newHash(algo string) hash.Hash {
	switch algo {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return nil
}

// Weak tells whether certificates that match could be forged.
func (p Pin) Weak() bool { return p.algo == "md5" || p.algo == "sha1" }

// Matches tells whether the pin is c's. Of a public key there are two digests
// in use, and a pin may be either: that of the whole SubjectPublicKeyInfo (RFC
// 7469), and that of the key in it alone, which IO::Socket::SSL prints.
func (p Pin) Matches(c *x509.Certificate) bool {
	if !p.pub {
		return p.digests(c.Raw)
	}
	if p.digests(c.RawSubjectPublicKeyInfo) {
		return true
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	rest, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &info)
	return err == nil && len(rest) == 0 && p.digests(info.Key.Bytes)
}

func (p Pin) digests(data []byte) bool {
	h := newHash(p.algo)
	if h == nil {
		return false
	}
	h.Write(data)
	return string(h.Sum(nil)) == p.sum
}

// String returns the pin in the form that ParsePin takes.
func (p Pin) String() string {
	if p.pub {
		return p.algo + "$pub$" + hex.EncodeToString([]byte(p.sum))
	}
	return p.algo + "$" + hex.EncodeToString([]byte(p.sum))
}

// Fingerprint returns c's pin with sha256, of its public key if pub.
func Fingerprint(c *x509.Certificate, pub bool) string {
	raw := c.Raw
	if pub {
		raw = c.RawSubjectPublicKeyInfo
	}
	sum := sha256.Sum256(raw)
	return Pin{algo: "sha256", pub: pub, sum: string(sum[:])}.String()
}
