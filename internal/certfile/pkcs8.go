package certfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/scrypt"
)

// Bounds on the work that a file may require for checking a password.
const (
	// maxIterations applies to PBKDF2 and PKCS #12 wherever a file uses them.
	// openssl uses 2048 by default, careful users a million.
	maxIterations = 10_000_000
	// scrypt needs 128*N*r bytes, p times in sequence. openssl uses N=16384,
	// r=8, p=1 and refuses more than 32 MiB.
	maxScryptMemory = 128 << 20
	maxScryptWork   = 512 << 20
)

// errPassword is the error for a text that decrypts to garbage.
var errPassword = errors.New("cannot be decrypted: the password is wrong, or the file is damaged")

// errUnknown is the error for an unsupported encryption.
func errUnknown(what string) error {
	return fmt.Errorf("is encrypted with %s, which is not supported; encrypt it again: openssl pkcs8 -topk8 -v2 aes-256-cbc", what)
}

func errTooMuch(what string) error {
	return fmt.Errorf("is refused: checking its password would take %s", what)
}

type encryptedKey struct {
	Algo pkix.AlgorithmIdentifier
	Data []byte
}

type pbes2 struct{ KDF, Cipher pkix.AlgorithmIdentifier }

// An unlock decrypts with a password.
type unlock struct {
	derive func(password []byte) (key, iv []byte, err error)
	block  func(key []byte) (cipher.Block, error)
}

// Object identifiers, as they print.
const (
	idPBES2     = "1.2.840.113549.1.5.13"
	idPBKDF2    = "1.2.840.113549.1.5.12"
	idScrypt    = "1.3.6.1.4.1.11591.4.11"
	idSHA1And3D = "1.2.840.113549.1.12.1.3" // pbeWithSHAAnd3-KeyTripleDES-CBC
	idSHA1And2D = "1.2.840.113549.1.12.1.4" // the same with two keys
)

// names are OpenSSL's names of the unsupported algorithms.
var names = map[string]string{
	"1.2.840.113549.1.5.1": "pbeWithMD2AndDES-CBC", "1.2.840.113549.1.5.3": "pbeWithMD5AndDES-CBC",
	"1.2.840.113549.1.5.4": "pbeWithMD2AndRC2-CBC", "1.2.840.113549.1.5.6": "pbeWithMD5AndRC2-CBC",
	"1.2.840.113549.1.5.10": "pbeWithSHA1AndDES-CBC", "1.2.840.113549.1.5.11": "pbeWithSHA1AndRC2-CBC",
	"1.2.840.113549.1.12.1.1": "pbeWithSHA1And128BitRC4", "1.2.840.113549.1.12.1.2": "pbeWithSHA1And40BitRC4",
	"1.2.840.113549.1.12.1.5": "pbeWithSHA1And128BitRC2-CBC", "1.2.840.113549.1.12.1.6": "pbeWithSHA1And40BitRC2-CBC",
	"1.2.392.200011.61.1.1.1.2": "camellia-128-cbc", "1.2.392.200011.61.1.1.1.3": "camellia-192-cbc", "1.2.392.200011.61.1.1.1.4": "camellia-256-cbc",
	"1.2.410.200046.1.1.2": "aria-128-cbc", "1.2.410.200046.1.1.7": "aria-192-cbc", "1.2.410.200046.1.1.12": "aria-256-cbc",
	"1.2.410.200004.1.4": "seed-cbc", "1.2.840.113549.3.2": "rc2-cbc", "1.3.14.3.2.7": "des-cbc", "1.3.6.1.4.1.188.7.1.1.2": "idea-cbc",
	"1.2.156.10197.1.104.2": "sm4-cbc", "2.16.840.1.101.3.4.1.6": "aes-128-gcm", "2.16.840.1.101.3.4.1.26": "aes-192-gcm", "2.16.840.1.101.3.4.1.46": "aes-256-gcm",
	"1.2.840.113549.2.6": "hmacWithMD5", "1.2.156.10197.1.401.2": "hmacWithSM3", "2.16.840.1.101.3.4.2.14": "hmacWithSHA3-256",
}

func nameOf(id asn1.ObjectIdentifier) string {
	if n := names[id.String()]; n != "" {
		return n
	}
	return "the algorithm " + id.String()
}

// decrypt opens an EncryptedPrivateKeyInfo of RFC 5958. The error follows the
// file's name.
func (k *encryptedKey) decrypt(password []byte) ([]byte, error) {
	u, err := k.unlock()
	if err != nil {
		return nil, err
	}
	key, iv, err := u.derive(password)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	b, err := u.block(key)
	if err != nil {
		return nil, err
	}
	if len(iv) != b.BlockSize() || len(k.Data) == 0 || len(k.Data)%b.BlockSize() != 0 {
		return nil, errPassword
	}
	out := make([]byte, len(k.Data))
	cipher.NewCBCDecrypter(b, iv).CryptBlocks(out, k.Data)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > b.BlockSize() {
		return nil, errPassword
	}
	for _, c := range out[len(out)-pad:] {
		if int(c) != pad {
			return nil, errPassword
		}
	}
	return out[:len(out)-pad], nil
}

// unlock determines how the key is encrypted, and whether it can be opened
// with bounded work.
func (k *encryptedKey) unlock() (*unlock, error) {
	switch k.Algo.Algorithm.String() {
	case idPBES2:
		return k.pbes2()
	case idSHA1And3D:
		return k.pkcs12(24)
	case idSHA1And2D:
		return k.pkcs12(16)
	}
	return nil, errUnknown(nameOf(k.Algo.Algorithm))
}

var errParams = errors.New("is damaged: its encryption parameters cannot be read")

func parse(data []byte, v any) error {
	if rest, err := asn1.Unmarshal(data, v); err != nil || len(rest) > 0 {
		return errParams
	}
	return nil
}

func (k *encryptedKey) pbes2() (*unlock, error) {
	var p pbes2
	if err := parse(k.Algo.Parameters.FullBytes, &p); err != nil {
		return nil, err
	}
	size, block := 0, aes.NewCipher
	switch p.Cipher.Algorithm.String() {
	case "2.16.840.1.101.3.4.1.2":
		size = 16
	case "2.16.840.1.101.3.4.1.22":
		size = 24
	case "2.16.840.1.101.3.4.1.42":
		size = 32
	case "1.2.840.113549.3.7":
		size, block = 24, des.NewTripleDESCipher
	default:
		return nil, errUnknown(nameOf(p.Cipher.Algorithm))
	}
	var iv []byte
	if err := parse(p.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, err
	}
	kdf, err := kdfOf(p.KDF, size)
	if err != nil {
		return nil, err
	}
	return &unlock{block: block, derive: func(pw []byte) ([]byte, []byte, error) {
		key, err := kdf(pw)
		return key, iv, err
	}}, nil
}

func kdfOf(a pkix.AlgorithmIdentifier, size int) (func([]byte) ([]byte, error), error) {
	switch a.Algorithm.String() {
	case idPBKDF2:
		return pbkdf2Of(a, size)
	case idScrypt:
		var p struct {
			Salt    []byte
			N, R, P int
			Size    int `asn1:"optional"`
		}
		if err := parse(a.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		if p.Size != 0 && p.Size != size || p.N < 2 || p.N&(p.N-1) != 0 || p.R < 1 || p.P < 1 {
			return nil, errParams
		}
		// The divisions are exact enough, and no product can overflow.
		if p.N > maxScryptMemory/128/p.R || p.P > maxScryptWork/128/p.R/p.N {
			return nil, errTooMuch(fmt.Sprintf("too much memory or time (scrypt with N=%d, r=%d, p=%d)", p.N, p.R, p.P))
		}
		return func(pw []byte) ([]byte, error) { return scrypt.Key(pw, p.Salt, p.N, p.R, p.P, size) }, nil
	}
	return nil, errUnknown(nameOf(a.Algorithm))
}

func pbkdf2Of(a pkix.AlgorithmIdentifier, size int) (func([]byte) ([]byte, error), error) {
	var p struct {
		Salt       []byte
		Iterations int
		Size       int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	if err := parse(a.Parameters.FullBytes, &p); err != nil {
		return nil, err
	}
	var h func() hash.Hash
	switch id := p.PRF.Algorithm.String(); id {
	case "", "1.2.840.113549.2.7":
		h = sha1.New
	case "1.2.840.113549.2.8":
		h = sha256.New224
	case "1.2.840.113549.2.9":
		h = sha256.New
	case "1.2.840.113549.2.10":
		h = sha512.New384
	case "1.2.840.113549.2.11":
		h = sha512.New
	case "1.2.840.113549.2.12":
		h = sha512.New512_224
	case "1.2.840.113549.2.13":
		h = sha512.New512_256
	default:
		return nil, errUnknown(nameOf(p.PRF.Algorithm))
	}
	if p.Size != 0 && p.Size != size || p.Iterations < 1 {
		return nil, errParams
	}
	if p.Iterations > maxIterations {
		return nil, errTooMuch(fmt.Sprintf("%d iterations of PBKDF2; the limit is %d", p.Iterations, maxIterations))
	}
	return func(pw []byte) ([]byte, error) { return pbkdf2.Key(h, string(pw), p.Salt, p.Iterations, size) }, nil
}

// pkcs12 is the older scheme of RFC 7292, with SHA-1 and two- or three-key
// triple DES.
func (k *encryptedKey) pkcs12(size int) (*unlock, error) {
	var p struct {
		Salt       []byte
		Iterations int
	}
	if err := parse(k.Algo.Parameters.FullBytes, &p); err != nil {
		return nil, err
	}
	switch {
	case p.Iterations < 1:
		return nil, errParams
	case p.Iterations > maxIterations/2:
		return nil, errTooMuch(fmt.Sprintf("%d iterations of SHA-1 twice; the limit is %d", p.Iterations, maxIterations/2))
	}
	return &unlock{block: des.NewTripleDESCipher, derive: func(pw []byte) ([]byte, []byte, error) {
		text, err := bmp(pw)
		if err != nil {
			return nil, nil, err
		}
		defer clear(text)
		key := pkcs12Key(text, p.Salt, 1, p.Iterations, size)
		if size == 16 {
			key = append(key, key[:8]...)
		}
		return key, pkcs12Key(text, p.Salt, 2, p.Iterations, 8), nil
	}}, nil
}
