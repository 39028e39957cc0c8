package certfile

import (
	"crypto/sha1"
	"errors"
	"unicode/utf8"
)

// bmp encodes a password for PKCS #12: big-endian UCS-2 with a final zero.
func bmp(pw []byte) ([]byte, error) {
	out := make([]byte, 0, 2*len(pw)+2)
	for s := pw; len(s) > 0; {
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError && n < 2 || r > 0xffff {
			return nil, errors.New("cannot be decrypted: the password has characters that this kind of encryption does not support")
		}
		out = append(out, byte(r>>8), byte(r))
		s = s[n:]
	}
	return append(out, 0, 0), nil
}

// pkcs12Key derives n bytes for purpose id from a password in the form of bmp:
// RFC 7292, appendix B.2, with SHA-1.
func pkcs12Key(password, salt []byte, id byte, iterations, n int) []byte {
	const v = sha1.BlockSize
	block := make([]byte, v, v+2*v)
	for i := range block {
		block[i] = id
	}
	fill := func(src []byte) []byte {
		out := make([]byte, (len(src)+v-1)/v*v)
		for i := range out {
			out[i] = src[i%len(src)]
		}
		return out
	}
	in := append(fill(salt), fill(password)...)
	defer clear(in)
	var out []byte
	for {
		a := sha1.Sum(append(block, in...))
		for range iterations - 1 {
			a = sha1.Sum(a[:])
		}
		if out = append(out, a[:]...); len(out) >= n {
			return out[:n]
		}
		b := fill(a[:])[:v]
		for j := 0; j < len(in); j += v {
			carry := 1
			for k := v - 1; k >= 0; k-- {
				carry += int(in[j+k]) + int(b[k])
				in[j+k], carry = byte(carry), carry>>8
			}
		}
	}
}
