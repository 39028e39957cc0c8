package certfile

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A certificate with a key of a kind that is not known matches no key.
func TestUnknownKeysMatchNothing(t *testing.T) {
	c, key := pair(t)
	if !matches(c, key) {
		t.Error("a certificate does not match its own key")
	}
	_, other := pair(t)
	if matches(c, other) || matches(&x509.Certificate{}, key) {
		t.Error("a certificate matches a key that is not its own")
	}
}

// A certificate without a common name has another one in messages.
func TestNames(t *testing.T) {
	u, _ := url.Parse("spiffe://a/b")
	for want, c := range map[string]*x509.Certificate{
		"CN=a":         {Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"b"}},
		"b":            {DNSNames: []string{"b"}, URIs: []*url.URL{u}},
		"spiffe://a/b": {URIs: []*url.URL{u}, Subject: pkix.Name{Organization: []string{"org"}}},
		"O=org":        {Subject: pkix.Name{Organization: []string{"org"}}},
		"serial ff":    {SerialNumber: big.NewInt(255)},
	} {
		if got := Name(c); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A key in DER is no PKCS#12 file, nor is anything of another version.
func TestWhatIsPKCS12(t *testing.T) {
	_, key := pair(t)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, _ := x509.MarshalECPrivateKey(key)
	next, _ := asn1.Marshal(struct {
		Version int
		Auth    []int
	}{4, []int{1}})
	number, _ := asn1.Marshal(3)
	broken, _ := asn1.Marshal(struct {
		Version int
		Auth    []int
		Mac     []int
	}{3, []int{1}, []int{1}})
	for name, der := range map[string][]byte{"PKCS#8": pkcs8, "SEC 1": sec1, "version 4": next, "a number": number, "a broken check": broken, "nothing": nil} {
		if isPKCS12(der) {
			t.Errorf("%s passes for one", name)
		}
	}
}

// What looks like an algorithm with iterations counts only where one can be.
func TestWorkInStrings(t *testing.T) {
	params, _ := asn1.Marshal(struct {
		Salt       []byte
		Iterations int
	}{[]byte("12345678"), 1000})
	algo, _ := asn1.Marshal(pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}, Parameters: asn1.RawValue{FullBytes: params}})
	for tag, want := range map[int]int{asn1.TagOctetString: 1000, asn1.TagBitString: 0, asn1.TagUTF8String: 0, asn1.TagInteger: 0} {
		der, err := asn1.Marshal([]asn1.RawValue{{Tag: tag, Bytes: algo}})
		if err != nil {
			t.Fatal(err)
		}
		if n := work(der, 0); n != want {
			t.Errorf("in a string with tag %d: %d iterations, want %d", tag, n, want)
		}
	}
}

// The most iterations that are done are still done.
func TestMostIterations(t *testing.T) {
	for n, ok := range map[int]bool{1: true, maxIterations / 2: true, maxIterations/2 + 1: false, 0: false} {
		params, err := asn1.Marshal(struct {
			Salt       []byte
			Iterations int
		}{[]byte("12345678"), n})
		if err != nil {
			t.Fatal(err)
		}
		k := &encryptedKey{Algo: pkix.AlgorithmIdentifier{Parameters: asn1.RawValue{FullBytes: params}}}
		if _, err := k.pkcs12(24); (err == nil) != ok {
			t.Errorf("%d iterations: %v", n, err)
		}
	}
}

// Words, rulers and digests beside the blocks are comments; base64 is not.
func TestWhatIsABody(t *testing.T) {
	for line, want := range map[string]bool{
		"MIIBszCCARwCCQDtrSBYgZxkkTANBgkqhkiG9w0BAQsFADAeMQswCQYDVQQGEwJ": true,
		strings.Repeat("G", 64):            false,
		strings.Repeat("g", 64):            false,
		strings.Repeat("Gg", 32):           false,
		strings.Repeat("G1", 32):           false,
		strings.Repeat("g1", 32):           false,
		strings.Repeat("G1g", 20):          true,
		strings.Repeat("G1g", 20)[:59]:     false,
		strings.Repeat("0f", 32):           false,
		strings.Repeat("=", 64):            false,
		strings.Repeat("G1g", 20) + "==":   true,
		strings.Repeat("G1g", 20) + "=G1g": false,
		"  " + strings.Repeat("G1g", 20):   true,
	} {
		if got := isBody([]byte(line)); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

// A directory that cannot be read is an error, not an empty one.
func TestList(t *testing.T) {
	dir := t.TempDir()
	if list, err := List(filepath.Join(dir, "none")); err == nil {
		t.Errorf("%v of a directory that is not there", list)
	}
	if list, err := new(Loader).List(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, %v", list, err)
	}
	os.Mkdir(filepath.Join(dir, "dir"), 0o755)
	os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
	os.Symlink("nowhere", filepath.Join(dir, "gone"))
	os.Symlink("dir", filepath.Join(dir, "link"))
	want := []Entry{{Name: "dir", Dir: true}, {Name: "file"}, {Name: "gone", Gone: true}, {Name: "link", Dir: true}}
	if list, err := List(dir); err != nil || !slices.Equal(list, want) {
		t.Errorf("%+v, %v", list, err)
	}
}
