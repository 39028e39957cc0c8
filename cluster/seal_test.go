package cluster

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// secret returns the n-th key of these tests.
func secret(n int) []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = byte(n*37 + i*11)
	}
	return b
}

func keysOf(t testing.TB, numbers ...int) *Keys {
	t.Helper()
	var file strings.Builder
	for _, n := range numbers {
		fmt.Fprintln(&file, base64.StdEncoding.EncodeToString(secret(n)))
	}
	k, err := ParseKeys([]byte(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSeal(t *testing.T) {
	k := keysOf(t, 1)
	for _, plain := range [][]byte{{}, []byte("a value"), make([]byte, MaxPlain)} {
		sealed := k.Seal("ns", "tickets/1", plain)
		if len(sealed) != len(plain)+SealOverhead || len(sealed) > MaxValue {
			t.Errorf("%d bytes are %d when sealed", len(plain), len(sealed))
		}
		got, err := k.Open("ns", "tickets/1", sealed)
		if err != nil || got == nil || !bytes.Equal(got, plain) {
			t.Errorf("opens to %.20q, %v", got, err)
		}
	}
	if a, b := k.Seal("ns", "x", nil), k.Seal("ns", "x", nil); bytes.Equal(a, b) {
		t.Error("two seals are equal")
	}
}

// A value opens under its own name only, whole, and by the key that sealed it.
func TestSealedValuesCannotBeMoved(t *testing.T) {
	k := keysOf(t, 1)
	sealed := k.Seal("ns", "bans/a", []byte("value"))
	for _, tt := range []struct{ namespace, key string }{{"ns", "bans/b"}, {"other", "bans/a"}, {"ns", "bans"}, {"ns/bans", "a"}, {"", "ns/bans/a"}} {
		if tt.namespace+"/"+tt.key == "ns/bans/a" {
			continue // which CheckNamespace refuses
		}
		if _, err := k.Open(tt.namespace, tt.key, sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("opens as %s of %s: %v", tt.key, tt.namespace, err)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := k.Open("ns", "bans/a", bad); !errors.Is(err, ErrSealed) {
			t.Errorf("opens with byte %d changed: %v", i, err)
		}
		if _, err := k.Open("ns", "bans/a", sealed[:i]); !errors.Is(err, ErrSealed) {
			t.Errorf("opens with %d bytes: %v", i, err)
		}
	}
	if _, err := k.Open("ns", "bans/a", make([]byte, MaxValue+1)); !errors.Is(err, ErrSealed) {
		t.Errorf("opens what is too large: %v", err)
	}
	if _, err := keysOf(t, 2).Open("ns", "bans/a", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("opens with another key: %v", err)
	}
}

// At each step of a rotation, nodes before and after it understand each other.
func TestKeyRotation(t *testing.T) {
	steps := []*Keys{keysOf(t, 1), keysOf(t, 1, 2), keysOf(t, 2, 1), keysOf(t, 2)}
	for i := range len(steps) - 1 {
		for _, pair := range [][2]*Keys{{steps[i], steps[i+1]}, {steps[i+1], steps[i]}} {
			if _, err := pair[1].Open("ns", "x", pair[0].Seal("ns", "x", []byte("v"))); err != nil {
				t.Errorf("step %d: keys %v do not open what %v sealed", i+1, pair[1].IDs(), pair[0].IDs())
			}
		}
	}
	if v := steps[1].Seal("ns", "x", nil); !steps[1].Current(v) || steps[2].Current(v) || steps[2].Current(v[:5]) {
		t.Error("what is to be sealed again is not known")
	}
	if _, err := steps[3].Open("ns", "x", steps[0].Seal("ns", "x", nil)); err == nil {
		t.Error("a removed key still opens")
	}
	if ids := steps[2].IDs(); len(ids) != 2 || len(ids[0]) != 16 || !slices.Equal(ids[1:], steps[0].IDs()) {
		t.Errorf("ids %v", ids)
	}
}

// Keys for one purpose open nothing of another, and what a process is given of
// them is good for that alone.
func TestPurposes(t *testing.T) {
	file := []byte(hex.EncodeToString(secret(1)) + "\n" + hex.EncodeToString(secret(2)))
	certificates, err := ParseKeysFor(PurposeCertificates, file)
	if err != nil {
		t.Fatal(err)
	}
	store := keysOf(t, 1, 2)
	sealed := certificates.Seal("ns", "x", []byte("v"))
	if _, err := store.Open("ns", "x", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("the keys of the store open it: %v", err)
	}
	if _, err := certificates.Open("ns", "x", store.Seal("ns", "x", nil)); !errors.Is(err, ErrSealed) {
		t.Errorf("the keys of certificates open what is in the store: %v", err)
	}
	for _, k := range []*Keys{store, certificates} {
		again, err := KeysOf(k.Derived())
		if err != nil || !slices.Equal(again.IDs(), k.IDs()) {
			t.Fatalf("%v, %v", again, err)
		}
		if v, err := again.Open("ns", "x", k.Seal("ns", "x", []byte("v"))); err != nil || string(v) != "v" {
			t.Errorf("%q, %v", v, err)
		}
		for _, s := range [][]byte{secret(1), secret(2)} {
			if bytes.Contains(k.Derived(), s) {
				t.Error("it has a key of the file")
			}
		}
	}
	for _, bad := range [][]byte{nil, make([]byte, derivedSize-1), make([]byte, derivedSize+1), make([]byte, (maxKeyIDs+1)*derivedSize)} {
		if _, err := KeysOf(bad); err == nil {
			t.Errorf("%d bytes are keys", len(bad))
		}
	}
}

func TestParseKeys(t *testing.T) {
	b64, hexa := base64.StdEncoding.EncodeToString(secret(1)), hex.EncodeToString(secret(2))
	for _, tt := range []struct {
		name, file string
		keys       int
		want       string // of the error
	}{
		{"base64", b64, 1, ""},
		{"hex, comments, Windows", "\xef\xbb\xbf# ours\r\n" + hexa + "\r\n\r\n  " + b64 + "\r\n", 2, ""},
		{"empty", "", 0, "holds no key"},
		{"comments only", "# a\n", 0, "holds no key"},
		{"short", b64 + "\n" + base64.StdEncoding.EncodeToString(secret(3)[:31]) + "\n", 0, "line 2"},
		{"long", base64.StdEncoding.EncodeToString(append(secret(3), 1)), 0, "line 1"},
		{"cut", hexa + "\n" + hexa[:40], 0, "line 2"},
		{"cut base64", b64 + "\n" + base64.StdEncoding.EncodeToString(secret(3))[:41], 0, "line 2"},
		{"zeros", strings.Repeat("0", 64), 0, "not random"},
		{"mostly one byte", strings.Repeat("41", 20) + hexa[:24], 0, "not random"},
		{"binary", string(secret(1)), 0, "line 1"},
		{"twice", b64 + "\n" + hex.EncodeToString(secret(1)), 0, "twice"},
		{"many", manyKeys(17), 0, "more than 16"},
		{"huge", strings.Repeat("#", maxFile+1), 0, "larger than"},
	} {
		k, err := ParseKeys([]byte(tt.file))
		switch {
		case tt.want == "" && (err != nil || len(k.list) != tt.keys):
			t.Errorf("%s: %v, %v", tt.name, k, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error %v, want %s", tt.name, err, tt.want)
		case err != nil && (strings.Contains(err.Error(), b64[:10]) || strings.Contains(err.Error(), hexa[:10])):
			t.Errorf("%s: the error shows a key: %v", tt.name, err)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", keysOf(t, 1), keysOf(t, 1), keysOf(t, 1)); strings.ContainsAny(s, "[{0123456789") {
		t.Errorf("keys print as %s", s)
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%x\n", secret(i))
	}
	return b.String()
}

func TestReadKeys(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "cluster.key")
	if err := os.WriteFile(name, []byte(manyKeys(2)), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := ReadKeys(name); err != nil || len(k.IDs()) != 2 {
		t.Errorf("%v, %v", k, err)
	}
	if _, err := ReadKeys(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := ReadKeys(dir); err == nil {
		t.Error("reads a directory")
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeys(name); err == nil || !strings.Contains(err.Error(), "chmod o= "+name) {
		t.Errorf("a file that everybody can read: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	k := keysOf(f, 1, 2)
	f.Add(k.Seal("ns", "x", []byte("value")))
	f.Add(keysOf(f, 2).Seal("ns", "x", nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		before := bytes.Clone(sealed)
		if _, err := k.Open("ns", "y", sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("opens %x", sealed)
		}
		if !bytes.Equal(before, sealed) {
			t.Error("Open changes what it opens")
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(manyKeys(3)))
	f.Add([]byte("# comment\n" + base64.StdEncoding.EncodeToString(secret(1))))
	f.Fuzz(func(t *testing.T, file []byte) {
		k, err := ParseKeys(file)
		if (k == nil) == (err == nil) {
			t.Fatalf("%v, %v", k, err)
		}
		if err != nil {
			return
		}
		if n := len(k.IDs()); n == 0 || n > maxKeyIDs {
			t.Errorf("%d keys", n)
		}
		if _, err := k.Open("ns", "x", k.Seal("ns", "x", nil)); err != nil {
			t.Error(err)
		}
	})
}
