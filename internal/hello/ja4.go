package hello

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// A JA4 is the fingerprint of a TLS client by its ClientHello, as
// https://github.com/FoxIO-LLC/ja4 describes it: clients of the same program
// have the same, whatever they ask for. The zero JA4 is none.
type JA4 struct {
	a    [10]byte // what can be read: version, name, counts, protocol
	b, c [6]byte  // begins of SHA-256: of the cipher suites, of the extensions
}

// String returns the usual form, such as
// t13d1516h2_8daaf6152771_e5627efa2ab1; "" for none.
func (j JA4) String() string {
	if j.a[0] == 0 {
		return ""
	}
	var to [36]byte
	copy(to[:], j.a[:])
	to[10], to[23] = '_', '_'
	hex.Encode(to[11:], j.b[:])
	hex.Encode(to[24:], j.c[:])
	return string(to[:])
}

// Extensions that count in a way of their own.
const (
	extServerName = 0
	extSignatures = 13
	extALPN       = 16
	extVersions   = 43
)

// Fingerprint returns the fingerprint of the ClientHello that records, the first
// bytes of a TCP connection, begin with; the zero JA4 if they do not hold all of
// one.
func Fingerprint(records []byte) JA4 {
	message, need := Message(records)
	if message == nil || need != 0 {
		return JA4{}
	}
	s := cryptobyte.String(message[messageHeader:])
	var session, suites, compressions, extensions cryptobyte.String
	var f features
	if !s.ReadUint16(&f.version) || !s.Skip(32) || !s.ReadUint8LengthPrefixed(&session) ||
		!s.ReadUint16LengthPrefixed(&suites) || !s.ReadUint8LengthPrefixed(&compressions) ||
		!s.Empty() && !s.ReadUint16LengthPrefixed(&extensions) {
		return JA4{}
	}
	f.suites = f.suitesBuf[:0]
	if !numbers(&f.suites, suites) || !f.read(extensions) {
		return JA4{}
	}
	return f.ja4()
}

// features are what a fingerprint is made of, without GREASE (RFC 8701).
type features struct {
	version    uint16
	named      bool
	alpn       []byte // the first one
	suites     []uint16
	extensions []uint16
	signatures []uint16

	// Where they are, so that those of common clients need no allocation.
	suitesBuf                  [64]uint16
	extensionsBuf, signatures_ [40]uint16
}

// numbers adds those of a list that are not GREASE.
func numbers(to *[]uint16, list cryptobyte.String) bool {
	for !list.Empty() {
		var n uint16
		if !list.ReadUint16(&n) {
			return false
		}
		if !isGREASE(n) {
			*to = append(*to, n)
		}
	}
	return true
}

func isGREASE(n uint16) bool { return n>>8 == n&0xff && n&0x0f == 0x0a }

// read reads the extensions.
func (f *features) read(list cryptobyte.String) bool {
	f.extensions, f.signatures = f.extensionsBuf[:0], f.signatures_[:0]
	for !list.Empty() {
		var id uint16
		var data cryptobyte.String
		if !list.ReadUint16(&id) || !list.ReadUint16LengthPrefixed(&data) {
			return false
		}
		if isGREASE(id) {
			continue
		}
		f.extensions = append(f.extensions, id)
		if !f.extension(id, data) {
			return false
		}
	}
	return true
}

// extension looks at one extension.
func (f *features) extension(id uint16, data cryptobyte.String) bool {
	var inner, first cryptobyte.String
	switch id {
	case extServerName:
		f.named = true
	case extALPN:
		if data.ReadUint16LengthPrefixed(&inner) && inner.ReadUint8LengthPrefixed(&first) {
			f.alpn = first
		}
	case extSignatures:
		return data.ReadUint16LengthPrefixed(&inner) && numbers(&f.signatures, inner)
	case extVersions:
		var buf [8]uint16
		versions := buf[:0]
		if !data.ReadUint8LengthPrefixed(&inner) || !numbers(&versions, inner) {
			return false
		}
		if len(versions) > 0 {
			f.version = slices.Max(versions)
		}
	}
	return true
}

// ja4 makes the fingerprint. It changes the order of suites and extensions.
func (f *features) ja4() (j JA4) {
	copy(j.a[:], "t"+versionCode(f.version)+"i")
	if f.named {
		j.a[3] = 'd'
	}
	twoDigits(j.a[4:], len(f.suites))
	twoDigits(j.a[6:], len(f.extensions))
	j.a[8], j.a[9] = '0', '0'
	if n := len(f.alpn); n > 0 {
		first, last := f.alpn[0], f.alpn[n-1]
		if isAlnum(first) && isAlnum(last) {
			j.a[8], j.a[9] = first, last
		} else {
			const digits = "0123456789abcdef"
			j.a[8], j.a[9] = digits[first>>4], digits[last&15]
		}
	}
	var buf [1024]byte
	slices.Sort(f.suites)
	if text := list(buf[:0], f.suites); len(text) > 0 {
		sum := sha256.Sum256(text)
		copy(j.b[:], sum[:])
	}
	if len(f.extensions) == 0 {
		return j
	}
	f.extensions = slices.DeleteFunc(f.extensions, func(id uint16) bool { return id == extServerName || id == extALPN })
	slices.Sort(f.extensions)
	text := list(buf[:0], f.extensions)
	if len(f.signatures) > 0 {
		text = list(append(text, '_'), f.signatures)
	}
	sum := sha256.Sum256(text)
	copy(j.c[:], sum[:])
	return j
}

// versionCode returns the two characters of a version.
func versionCode(v uint16) string {
	switch v {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	}
	return "00"
}

func twoDigits(to []byte, n int) {
	n = min(n, 99)
	to[0], to[1] = byte('0'+n/10), byte('0'+n%10)
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// list adds numbers as four hexadecimal digits each, with commas between them.
func list(b []byte, numbers []uint16) []byte {
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = hex.AppendEncode(b, []byte{byte(n >> 8), byte(n)})
	}
	return b
}
