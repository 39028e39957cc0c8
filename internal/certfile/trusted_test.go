package certfile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// TestTrustedCertificates reads what openssl x509 -trustout writes: as a
// server's certificate it is one like others, as an authority it has to be one
// for clients.
func TestTrustedCertificates(t *testing.T) {
	c, key := pair(t)
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	os.WriteFile(plain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600)
	keyPEM := keyText(t, key)
	for name, k := range map[string]struct {
		args []string
		want string // of the error; "" for none
	}{
		"nothing said":   {nil, ""},
		"alias":          {[]string{"-setalias", "ours"}, ""},
		"for clients":    {[]string{"-addtrust", "clientAuth", "-setalias", "ours"}, ""},
		"for all":        {[]string{"-addtrust", "anyExtendedKeyUsage"}, ""},
		"for servers":    {[]string{"-addtrust", "serverAuth"}, "trusted for other things than clients"},
		"not clients":    {[]string{"-addreject", "clientAuth"}, "rejected for clients"},
		"not mail":       {[]string{"-addreject", "emailProtection"}, ""},
		"not for anyone": {[]string{"-addtrust", "clientAuth", "-addreject", "anyExtendedKeyUsage", "-setalias", "x"}, "rejected for clients"},
	} {
		file := filepath.Join(dir, "out")
		openssl(t, append([]string{"x509", "-in", plain, "-trustout", "-out", file}, k.args...)...)
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte("TRUSTED")) {
			t.Fatal(err)
		}
		certs, err := Authorities(text)
		if (err == nil) != (k.want == "") || err != nil && !strings.Contains(err.Error(), k.want) || err == nil && (len(certs) != 1 || !bytes.Equal(certs[0].Raw, c.Raw)) {
			t.Errorf("%s: %v, want %q", name, err, k.want)
		}
		if p, err := (&Loader{}).Parse("c", text, "k", keyPEM); err != nil || !bytes.Equal(p.Chain[0].Raw, c.Raw) {
			t.Errorf("%s: as a server's: %v", name, err)
		}
	}
}

func TestWhatAuthoritiesAreNot(t *testing.T) {
	c, _ := pair(t)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	for name, data := range map[string][]byte{
		"DER and more":      append(bytes.Clone(c.Raw), 0),
		"PKCS#7":            append(bytes.Clone(cert), block("PKCS7", 30)...),
		"attributes":        append(bytes.Clone(cert), block("ATTRIBUTE CERTIFICATE", 30)...),
		"damaged":           append(bytes.Clone(cert), block("CERTIFICATE", 30)...),
		"trusted, damaged":  []byte(block("TRUSTED CERTIFICATE", 30)),
		"trusted, and junk": pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: append(bytes.Clone(c.Raw), 1, 2, 3)}),
		"two in one block":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: append(bytes.Clone(c.Raw), c.Raw...)}),
	} {
		if certs, err := Authorities(data); err == nil {
			t.Errorf("%s: %d certificates", name, len(certs))
		}
	}
	other, _ := pair(t)
	mixed := bytes.Join([][]byte{cert, []byte(block("X509 CRL", 30)), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Raw})}, nil)
	if certs, err := Authorities(mixed); err != nil || len(certs) != 2 || !certs[1].Equal(other) {
		t.Error(len(certs), err)
	}
}

func FuzzAuthorities(f *testing.F) {
	c, _ := pair(f)
	f.Add(c.Raw)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "TRUSTED CERTIFICATE", Bytes: append(bytes.Clone(c.Raw), 0x30, 0x0c, 0x30, 0x0a, 6, 8, 43, 6, 1, 5, 5, 7, 3, 2)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := Authorities(data)
		if err != nil {
			if certs != nil {
				t.Fatal("certificates with an error")
			}
			return
		}
		n := 0
		bs, _ := Blocks(data)
		for _, b := range bs {
			if isCert(b.Type) {
				n++
			}
		}
		if bs == nil {
			n = 1
		}
		if len(certs) != n {
			t.Fatalf("%d of %d certificates", len(certs), n)
		}
	})
}

func keyText(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// TestPairsThatAreNotWhole: a chain or a key of which a part is missing.
func TestPairsThatAreNotWhole(t *testing.T) {
	c, key := pair(t)
	cert, k := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), keyText(t, key)
	other, otherKey := pair(t)
	stranger := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Raw})
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, f := range map[string]struct {
		cert, key []byte
		want      string
	}{
		"two keys":                   {join(cert, k, keyText(t, otherKey)), nil, "holds 2 private keys (lines"},
		"two keys in a file":         {cert, join(k, k), "holds 2 private keys"},
		"cut key behind":             {join(cert, k[:len(k)-20]), nil, "cut short"},
		"cut key, key elsewhere":     {join(cert, k[:len(k)-20]), k, "cut short"},
		"cut certificate at the key": {cert, join(k, cert[:60]), "cut short"},
		"OpenSSH":                    {cert, []byte(block("OPENSSH PRIVATE KEY", 40)), "ssh-keygen -p -m PEM"},
		"PKCS#7":                     {[]byte(block("PKCS7", 40)), k, "openssl pkcs7 -print_certs"},
		"request only":               {[]byte(block("CERTIFICATE REQUEST", 40)), k, "holds no certificate but: CERTIFICATE REQUEST"},
		"parameters only":            {cert, []byte(block("EC PARAMETERS", 10)), "holds no private key but: EC PARAMETERS"},
		"stranger":                   {join(cert, stranger), k, "did not issue any certificate before it"},
		"encrypted twice":            {cert, []byte(strings.Replace(block("ENCRYPTED PRIVATE KEY", 40), "-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1)), "encrypted twice"},
	} {
		if _, err := (&Loader{}).Parse("c", f.cert, "k", f.key); err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s: %v, want %q", name, err, f.want)
		}
	}
	for name, f := range map[string][2][]byte{
		"key and parameters":       {join(cert, []byte(block("DH PARAMETERS", 20)), []byte(block("EC PARAMETERS", 10)), k), nil},
		"other keys beside a file": {join(k, cert, keyText(t, otherKey)), k},
	} {
		if _, err := (&Loader{}).Parse("c", f[0], "k", f[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	p12, err := pkcs12.Modern.WithIterations(10).Encode(key, c, []*x509.Certificate{other}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&Loader{}).Parse("c", p12, "", nil); err == nil || !strings.Contains(err.Error(), "did not issue any other in it") {
		t.Error("a stranger in PKCS#12:", err)
	}
}

// TestScanPassesOverNothing: half a pair in a directory is an error.
func TestScanPassesOverNothing(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "example.org")
	for _, d := range []string{sub, filepath.Join(dir, "empty")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(dir, "a.pem"), []byte("x"), 0o600)
	os.WriteFile(filepath.Join(sub, "fullchain.pem"), []byte("x"), 0o600)
	if list, err := (&Loader{}).Scan(dir); err == nil || !strings.Contains(err.Error(), "privkey.pem does not exist") {
		t.Error(list, err)
	}
	os.WriteFile(filepath.Join(sub, "privkey.pem"), []byte("x"), 0o600)
	if list, err := (&Loader{}).Scan(dir); err != nil || len(list) != 2 {
		t.Error(list, err)
	}
	for name, want := range map[string][4]bool{
		"a.pem": {true, true, true, false}, "a.crt": {true, true, false, false}, "a.key": {}, ".pem": {}, ".a.crl": {}, "a.crl": {false, false, true, true},
		"0123abcd.0": {false, true, false, false}, "0123abcd.r1": {false, false, true, true}, "0123abc.r1": {}, "a.p12": {true, false, false, false}, "shadow": {},
	} {
		read, must := ListName(name)
		if got := [4]bool{Served(name), AuthorityName(name), read, must}; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
