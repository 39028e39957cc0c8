package cluster

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"netserver/internal/place"
)

const (
	keySize   = 32 // bytes of a key in the file
	keyIDSize = 8
	maxKeyIDs = 16       // in one file
	maxFile   = 64 << 10 // bytes of the file

	sealVersion = 1
	sealHead    = 1 + keyIDSize + chacha20poly1305.NonceSizeX
	// SealOverhead is how many bytes Seal adds.
	SealOverhead = sealHead + chacha20poly1305.Overhead
	// MaxPlain is the largest value that may be stored when it is sealed.
	MaxPlain = MaxValue - SealOverhead
)

// ErrSealed is what Keys.Open returns for what none of the keys has sealed
// under this name: garbage, another cluster's value, or one that was moved.
var ErrSealed = errors.New("not sealed by a key of this cluster for this name")

// Keys seal what goes to a store, and open what comes from there. The first
// seals, all open, so that a key is replaced in three steps, each carried out on
// all nodes before the next: add the new one as the last line, make it the
// first, remove the old one. Keys do not change; their methods may be called at
// the same time. They show no secret when printed.
//
// Every value is encrypted by XChaCha20-Poly1305 with a random nonce of 24
// bytes, so that a key may seal any number, and opens only under the namespace
// and key it was sealed for. The store can still return an old value of the
// same key: who reads it has to know which is newer.
type Keys struct{ list []sealKey }

type sealKey struct {
	id     [keyIDSize]byte
	secret [derivedSize]byte // both are made of
	aead   cipher.AEAD
}

const derivedSize = keyIDSize + chacha20poly1305.KeySize

// Purposes of Keys. From the keys of one purpose neither those of another nor
// the file's follow.
const (
	PurposeStore        = "store"        // what a Node shares
	PurposeCertificates = "certificates" // keys and certificates of ACME
)

// ReadKeys reads a key file: see ParseKeys. The file must be a regular one that
// only its owner and group can read, in a place where nobody else can put
// another. The error names the file and shows no content.
func ReadKeys(path string) (*Keys, error) {
	f, err := place.OpenFile(path, os.O_RDONLY, 0, place.Options{})
	if err != nil {
		return nil, fmt.Errorf("cluster key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cluster key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cluster key file %s is not a regular file", path)
	}
	if othersUse(info.Mode()) {
		return nil, fmt.Errorf("cluster key file %s can be used by every user of the system (mode %04o): chmod o= %s", path, info.Mode().Perm(), path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cluster key file: %w", err)
	}
	defer clear(data)
	k, err := ParseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("cluster key file %s %w", path, err)
	}
	return k, nil
}

// ParseKeys reads the content of a key file: lines with 32 random bytes in hex
// or base64; empty lines and those that begin with '#' are skipped. A line that
// is too short or too long, a key that is no random one and a key twice are
// errors. The error continues the file's name and shows no content.
//
// The keys are those of PurposeStore.
func ParseKeys(data []byte) (*Keys, error) { return ParseKeysFor(PurposeStore, data) }

// ParseKeysFor is ParseKeys for another purpose: what was sealed for one is not
// opened for another.
func ParseKeysFor(purpose string, data []byte) (*Keys, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("is larger than %d bytes: it is no key file", maxFile)
	}
	k := &Keys{}
	n := 0
	for line := range bytes.SplitSeq(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), []byte("\n")) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		secret := decodeKey(line)
		switch {
		case len(secret) != keySize:
			return nil, fmt.Errorf("holds no key in line %d: a key is 32 random bytes in hex or base64, as from: openssl rand -base64 32", n)
		case bytes.Count(secret, secret[:1]) > keySize/2:
			return nil, fmt.Errorf("holds a key in line %d that is not random: make one with: openssl rand -base64 32", n)
		case len(k.list) == maxKeyIDs:
			return nil, fmt.Errorf("holds more than %d keys: remove those that are no longer used", maxKeyIDs)
		}
		sk, err := deriveKey(purpose, secret)
		clear(secret)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(k.list, func(o sealKey) bool { return o.id == sk.id }) {
			return nil, fmt.Errorf("holds the key of line %d twice", n)
		}
		k.list = append(k.list, sk)
	}
	if len(k.list) == 0 {
		return nil, errors.New("holds no key; make one with: openssl rand -base64 32")
	}
	return k, nil
}

func decodeKey(line []byte) []byte {
	if k, err := hex.DecodeString(string(line)); err == nil {
		return k
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if k, err := enc.Strict().DecodeString(string(line)); err == nil {
			return k
		}
	}
	return nil
}

func deriveKey(purpose string, secret []byte) (sealKey, error) {
	out, err := hkdf.Key(sha256.New, secret, nil, "netserver cluster "+purpose, derivedSize)
	if err != nil {
		return sealKey{}, err
	}
	defer clear(out)
	return newSealKey(out)
}

func newSealKey(derived []byte) (k sealKey, err error) {
	copy(k.secret[:], derived)
	copy(k.id[:], derived)
	k.aead, err = chacha20poly1305.NewX(derived[keyIDSize:])
	return k, err
}

// Derived returns what KeysOf makes the same Keys of, for a process that is not
// to have the file: it is good for their purpose alone, and as secret.
func (k *Keys) Derived() []byte {
	var b []byte
	for i := range k.list {
		b = append(b, k.list[i].secret[:]...)
	}
	return b
}

// KeysOf returns the Keys whose Derived is b.
func KeysOf(b []byte) (*Keys, error) {
	if len(b) == 0 || len(b)%derivedSize != 0 || len(b) > maxKeyIDs*derivedSize {
		return nil, fmt.Errorf("%d bytes are no keys", len(b))
	}
	k := &Keys{}
	for ; len(b) > 0; b = b[derivedSize:] {
		sk, err := newSealKey(b[:derivedSize])
		if err != nil {
			return nil, err
		}
		k.list = append(k.list, sk)
	}
	return k, nil
}

// IDs names the keys, the sealing one first: 16 hexadecimal digits each, from
// which nothing of the key follows.
func (k *Keys) IDs() []string {
	ids := make([]string, len(k.list))
	for i := range k.list {
		ids[i] = hex.EncodeToString(k.list[i].id[:])
	}
	return ids
}

// Seal returns plain, sealed for a key of a namespace. It has SealOverhead bytes
// more.
func (k *Keys) Seal(namespace, key string, plain []byte) []byte {
	first := &k.list[0]
	out := make([]byte, sealHead, SealOverhead+len(plain))
	out[0] = sealVersion
	copy(out[1:], first.id[:])
	nonce := out[1+keyIDSize : sealHead]
	rand.Read(nonce)
	return first.aead.Seal(out, nonce, plain, sealedFor(out, namespace, key))
}

// Open returns what Seal has sealed for this key of this namespace, or
// ErrSealed. It does not change sealed.
func (k *Keys) Open(namespace, key string, sealed []byte) ([]byte, error) {
	if len(sealed) < SealOverhead || len(sealed) > MaxValue || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	for i := range k.list {
		sk := &k.list[i]
		if !bytes.Equal(sk.id[:], sealed[1:1+keyIDSize]) {
			continue
		}
		plain, err := sk.aead.Open([]byte{}, sealed[1+keyIDSize:sealHead], sealed[sealHead:], sealedFor(sealed, namespace, key))
		if err != nil {
			return nil, ErrSealed
		}
		return plain, nil
	}
	return nil, ErrSealed
}

// Current reports whether sealed names the key that seals: what another has
// sealed is to be sealed again before that is removed from the file. It does not
// tell whether it can be opened.
func (k *Keys) Current(sealed []byte) bool {
	return len(sealed) >= SealOverhead && bytes.Equal(sealed[1:1+keyIDSize], k.list[0].id[:])
}

// sealedFor returns the associated data: version, key id, and what the value is
// good for. A namespace has no slash.
func sealedFor(head []byte, namespace, key string) []byte {
	ad := make([]byte, 0, 1+keyIDSize+len(namespace)+1+len(key))
	ad = append(ad, head[:1+keyIDSize]...)
	ad = append(ad, namespace...)
	ad = append(ad, '/')
	return append(ad, key...)
}

// LogValue hides the keys.
func (*Keys) LogValue() slog.Value { return slog.StringValue("cluster keys") }

// String hides the keys.
func (*Keys) String() string { return "cluster keys" }

// GoString hides the keys.
func (*Keys) GoString() string { return "cluster keys" }

// othersUse reports whether a file's mode lets every user use it. Windows has no
// such modes.
func othersUse(mode fs.FileMode) bool { return runtime.GOOS != "windows" && mode.Perm()&0o007 != 0 }
