package certfile

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

func openssl(t testing.TB, args ...string) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

const password = "pässword"

// TestEncryptedKeys reads private keys that openssl has encrypted in its ways.
// What is not read here is named, and never called a wrong password.
func TestEncryptedKeys(t *testing.T) {
	c, key := pair(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	plain, certFile := filepath.Join(dir, "plain"), filepath.Join(dir, "cert")
	os.WriteFile(plain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
	os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600)
	p8 := []string{"pkcs8", "-topk8", "-in", plain}
	old := []string{"ec", "-in", plain}
	for name, k := range map[string]struct {
		args []string
		want string // of the error; "" for none
	}{
		"sha1":     {append(p8, "-v2", "aes256", "-v2prf", "hmacWithSHA1"), ""},
		"sha224":   {append(p8, "-v2", "aes128", "-v2prf", "hmacWithSHA224"), ""},
		"sha384":   {append(p8, "-v2", "aes192", "-v2prf", "hmacWithSHA384"), ""},
		"sha512":   {append(p8, "-v2", "aes256", "-v2prf", "hmacWithSHA512"), ""},
		"3des":     {append(p8, "-v2", "des3"), ""},
		"scrypt":   {append(p8, "-scrypt"), ""},
		"million":  {append(p8, "-iter", "1000000"), ""},
		"pbe 3des": {append(p8, "-v1", "PBE-SHA1-3DES"), ""},
		"pbe 2des": {append(p8, "-v1", "PBE-SHA1-2DES", "-iter", "3"), ""},
		"camellia": {append(p8, "-v2", "camellia256"), "is encrypted with camellia-256-cbc"},
		"aria":     {append(p8, "-v2", "aria-128-cbc"), "is encrypted with aria-128-cbc"},
		"old aes":  {append(old, "-aes128"), ""},
		"old 3des": {append(old, "-des3"), ""},
		"old cam":  {append(old, "-camellia256"), `is encrypted with "CAMELLIA-256-CBC"`},
	} {
		file := filepath.Join(dir, name)
		openssl(t, append(k.args, "-passout", "pass:"+password, "-out", file)...)
		l := &Loader{Password: func(string) ([]byte, error) { return []byte(password), nil }}
		_, err := l.Load(certFile, file)
		if (err == nil) != (k.want == "") || err != nil && (!strings.Contains(err.Error(), k.want) || strings.Contains(err.Error(), "wrong")) {
			t.Errorf("%s: %v, want %q", name, err, k.want)
		}
		l.Password = func(string) ([]byte, error) { return []byte("guess"), nil }
		if _, err := l.Load(certFile, file); err == nil || k.want == "" && !strings.Contains(err.Error(), "the password is wrong") {
			t.Errorf("%s with another password: %v", name, err)
		}
	}
}

// TestBoundedWork: files that ask for years of work are refused before any is
// done, and before a password is asked for.
func TestBoundedWork(t *testing.T) {
	algo := func(id []int, params any) pkix.AlgorithmIdentifier {
		der, err := asn1.Marshal(params)
		if err != nil {
			t.Fatal(err)
		}
		return pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.RawValue{FullBytes: der}}
	}
	type pbkdf2Params struct {
		Salt       []byte
		Iterations *big.Int
	}
	type scryptParams struct {
		Salt    []byte
		N, R, P int
	}
	salt := []byte("12345678")
	cbc := algo([]int{2, 16, 840, 1, 101, 3, 4, 1, 42}, make([]byte, 16))
	with := func(kdf pkix.AlgorithmIdentifier) pkix.AlgorithmIdentifier {
		return algo([]int{1, 2, 840, 113549, 1, 5, 13}, pbes2{kdf, cbc})
	}
	pb := []int{1, 2, 840, 113549, 1, 5, 12}
	sc := []int{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	for name, a := range map[string]pkix.AlgorithmIdentifier{
		"iterations":      with(algo(pb, pbkdf2Params{salt, big.NewInt(maxIterations + 1)})),
		"many iterations": with(algo(pb, pbkdf2Params{salt, new(big.Int).Lsh(big.NewInt(1), 80)})),
		"none":            with(algo(pb, pbkdf2Params{salt, big.NewInt(0)})),
		"negative":        with(algo(pb, pbkdf2Params{salt, big.NewInt(-1)})),
		"scrypt N":        with(algo(sc, scryptParams{salt, 1 << 40, 8, 1})),
		"scrypt r":        with(algo(sc, scryptParams{salt, 2, 1 << 50, 1})),
		"scrypt p":        with(algo(sc, scryptParams{salt, 1 << 14, 8, 1 << 20})),
		"scrypt memory":   with(algo(sc, scryptParams{salt, 1 << 18, 8, 1})),
		"scrypt N = 0":    with(algo(sc, scryptParams{salt, 0, 8, 1})),
		"pbe":             algo([]int{1, 2, 840, 113549, 1, 12, 1, 3}, pbkdf2Params{salt, big.NewInt(maxIterations)}),
	} {
		der, err := asn1.Marshal(encryptedKey{a, make([]byte, 32)})
		if err != nil {
			t.Fatal(err)
		}
		l := &Loader{Password: func(string) ([]byte, error) { t.Errorf("%s: the password is asked for", name); return nil, nil }}
		if _, err := l.encryptedPKCS8(RoleKey, "k", der); err == nil || strings.Contains(err.Error(), "password is wrong") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, key := pair(t)
	good, err := pkcs12.Modern.WithIterations(1000).Encode(key, c, nil, password)
	if err != nil {
		t.Fatal(err)
	}
	l := &Loader{Password: func(string) ([]byte, error) { return []byte(password), nil }}
	if _, err := l.parsePKCS12("f", good); err != nil {
		t.Error(err)
	}
	if n := work(good, 0); n != 3000 {
		t.Errorf("%d iterations in all, of a key, a certificate and a check", n)
	}
	// Each of the places alone, with the same number of bytes: 1000 is 03e8.
	from, to := []byte{2, 2, 0x03, 0xe8}, []byte{2, 2, 0x7f, 0xff}
	for i := range bytes.Count(good, from) {
		more := bytes.Clone(good)
		at := 0
		for range i {
			at += bytes.Index(more[at:], from) + len(from)
		}
		copy(more[at+bytes.Index(more[at:], from):], to)
		if n := work(more, 0); n != 2000+0x7fff {
			t.Errorf("place %d: %d iterations", i, n)
		}
	}
	large, err := pkcs12.Modern.WithIterations(20).Encode(key, c, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&Loader{}).parsePKCS12("f", large); err != nil {
		t.Error(err)
	}
}

func FuzzEncryptedKey(f *testing.F) {
	for _, id := range []string{
		"3041301c060a2a864886f70d010c0103300e04081bb9b6cc1acadb0e0202080004214ee71d2b2ab71df0793e1630cdbd6868b18119ee3faf1cb31b5c201f8a9e3473",
		"30743057" + "06092a864886f70d01050d304a302906092a864886f70d01050c301c040849f65b44e9900fd802020800300c06082a864886f70d020a0500301d060960864801650304012a041012a7a30c5e14edf86585e13fbfbb3b1f0419b31d90b9f7364e86b46612af25cb5eb092b6295a430d16b87fa4",
	} {
		der := make([]byte, len(id)/2)
		for i := range der {
			n, _ := new(big.Int).SetString(id[2*i:2*i+2], 16)
			der[i] = byte(n.Int64())
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		var k encryptedKey
		if parse(der, &k) != nil {
			return
		}
		if n := rounds(asn1.RawValue{FullBytes: mustMarshal(k.Algo)}); n > 5000 {
			return // allowed, and slow
		}
		if u, err := k.unlock(); err == nil && u != nil {
			if out, err := k.decrypt([]byte("x")); err == nil && len(out) >= len(k.Data) {
				t.Fatal("no padding was taken off")
			}
		}
		work(der, 0)
	})
}

func mustMarshal(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		return nil
	}
	return der
}
