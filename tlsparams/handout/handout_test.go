package handout

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"netserver/internal/certfile"
	"netserver/tlsparams"
	"netserver/tlsparams/internal/tickets"
)

// handoutOf names a file and a directory for each use.
func handoutOf(noKeys bool) *Handout {
	h := &Handout{NoKeys: noKeys}
	h.Add(tlsparams.Params{CertFile: "/e/cert.pem", KeyFile: "/e/key.pem", CertDir: "/certs/", PasswdFile: "/e/word", StapleFile: "/e/staple",
		TicketKeyFiles: []string{"/e/tickets"}, CertFiles: map[string]string{"a.b": "/e/ab.pem"},
		Clients: map[string]tlsparams.Client{"a.b": {CAFiles: []string{"/e/ab-ca.pem"}}},
		Client: tlsparams.Client{CAFiles: []string{"/e/ca.pem"}, ClientCAFile: "/e/names.pem", CRLFiles: []string{"/e/crl.pem"}, AllowFiles: []string{"/e/allow"},
			CAPath: []string{"/cas"}, CRLPath: []string{"/crls"}}})
	return h
}

// A dossier is contents of each kind, good ones.
type dossier struct {
	cert, key, list, staple []byte
	certDER, keyDER         []byte
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newDossier(t testing.TB) dossier {
	t.Helper()
	caKey, key := newKey(t), newKey(t)
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, SerialNumber: big.NewInt(1),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, ca, caKey)
	if err != nil {
		t.Fatal(err)
	}
	staple, err := ocsp.CreateResponse(ca, ca, ocsp.Response{Status: ocsp.Good, SerialNumber: big.NewInt(1), ThisUpdate: time.Now()}, caKey)
	if err != nil {
		t.Fatal(err)
	}
	return dossier{cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), list: pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list}),
		staple: staple, certDER: der, keyDER: keyDER}
}

const shadow = "root:$6$saltsalt$hashhashhash:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n"

// TestHandoutNames: only what is looked for is given out, of directories too.
func TestHandoutNames(t *testing.T) {
	h := handoutOf(false)
	for path, want := range map[string]use{
		"/e/cert.pem": asCert, "/e/./cert.pem": asCert, "/e/ab.pem": asCert, "/e/key.pem": asKey, "/e/word": asPassword, "/e/staple": asStaple,
		"/e/tickets": asTicketKeys, "/e/ca.pem": asAuthorities | asLists, "/e/ab-ca.pem": asAuthorities | asLists, "/e/names.pem": asAuthorities, "/e/crl.pem": asLists, "/e/allow": asAllowList,
		"/e/other.pem": 0, "/e": 0, "/": 0, "": 0, "/etc/shadow": 0, "/certs/../etc/shadow": 0,
		"/certs/x.pem": asCert, "/certs/x.key": asKey, "/certs/x.p12": asCert, "/certs/.x.pem": 0, "/certs/.x.key": 0, "/certs/x.txt": 0, "/certs/x": 0, "/certs": 0,
		"/certs/s/fullchain.pem": asCert, "/certs/s/privkey.pem": asKey, "/certs/s/tls.crt": asCert, "/certs/s/tls.key": asKey,
		"/certs/s/x.pem": 0, "/certs/s/s/tls.crt": 0, "/certs/.s/tls.crt": 0, "/certs2/x.pem": 0,
		"/cas/x.pem": asAuthorities | asLists, "/cas/x.crt": asAuthorities, "/cas/0123abcd.0": asAuthorities, "/cas/0123abcd.r0": asLists, "/cas/x.crl": asLists,
		"/cas/x.key": 0, "/cas/x.der": 0, "/cas/.x.pem": 0, "/cas/s/x.pem": 0,
		"/crls/x.crl": asLists, "/crls/x.pem": asLists, "/crls/x.crt": 0, "/crls/s/tls.crt": 0,
	} {
		if got := h.useOf(path); got != want || h.Names(path) != (want != 0) {
			t.Errorf("%s: %b, want %b", path, got, want)
		}
	}
	for dir, want := range map[string]bool{"/certs": true, "/certs/": true, "/certs/s": true, "/certs/.s": false, "/certs/s/s": false, "/cas": true, "/cas/s": false, "/crls": true, "/e": false, "/": false, "": false} {
		if h.Lists(dir) != want {
			t.Errorf("%s: %v", dir, !want)
		}
	}
	entries := []tlsparams.Entry{{Name: "x.pem"}, {Name: "x.key"}, {Name: "secret"}, {Name: ".x.pem"}, {Name: "sub", Dir: true}, {Name: "tls.key"}, {Name: "x.crl"}, {Name: "lost", Gone: true}, {Name: "0123abcd.r0"}}
	for dir, want := range map[string]string{"/certs": "x.pem x.key sub tls.key lost", "/certs/sub": "tls.key", "/cas": "x.pem x.crl 0123abcd.r0", "/crls": "x.pem x.crl 0123abcd.r0"} {
		var got []string
		for _, e := range h.Entries(dir, entries) {
			got = append(got, e.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}

// TestHandoutContents: for each name, whatever stands in the file, only what it
// is named for comes out.
func TestHandoutContents(t *testing.T) {
	d := newDossier(t)
	ticketKeys := []byte(base64.StdEncoding.EncodeToString(make([]byte, 48)) + "\n")
	contents := map[string][]byte{
		"certificate": d.cert, "key": d.key, "both": append(bytes.Clone(d.cert), d.key...), "list": d.list, "certificate, list": append(bytes.Clone(d.cert), d.list...),
		"DER certificate": d.certDER, "DER key": d.keyDER, "DER key and a newline": append(bytes.Clone(d.keyDER), '\n'), "response": d.staple,
		"ticket keys": ticketKeys, "raw ticket keys": bytes.Repeat([]byte{7}, 48), "names": []byte("cn ann\n# nobody else\n"), "shadow": []byte(shadow),
		"list, cut": d.list[:len(d.list)/2], "text": []byte("hello\n"), "nothing": {},
	}
	good := map[string][]string{
		"/cas/x.crt": {"certificate", "both", "certificate, list", "DER certificate", "key", "list"}, "/cas/x.pem": {"certificate", "both", "certificate, list", "DER certificate", "key", "list"},
		"/crls/x.crl": {"certificate", "key", "both", "list", "certificate, list", "DER certificate"}, "/e/names.pem": {"certificate", "both", "certificate, list", "DER certificate", "key", "list"},
		"/e/staple": {"response"}, "/e/tickets": {"ticket keys", "raw ticket keys"}, "/e/allow": {"names", "nothing"},
		"/e/cert.pem": nil, "/e/key.pem": nil, "/certs/x.pem": nil, "/certs/x.key": nil, "/e/word": nil, "/e/other": nil,
	}
	h := handoutOf(true)
	for path, names := range good {
		for name, data := range contents {
			got, err := h.File(path, data)
			if (err == nil) != slices.Contains(names, name) {
				t.Errorf("%s, %s: %v", path, name, err)
			}
			if err != nil && strings.Contains(err.Error(), "hash") {
				t.Errorf("%s, %s: the error tells: %v", path, name, err)
			}
			if bytes.Contains(got, []byte("PRIVATE")) || bytes.Contains(got, d.keyDER) || bytes.Contains(got, []byte("hash")) {
				t.Errorf("%s, %s: gives out %q", path, name, got)
			}
		}
	}
	// What is given says the same as the file.
	for name, want := range map[string][2]int{"certificate": {1, 1}, "both": {1, 1}, "certificate, list": {2, 1}, "DER certificate": {1, 1}, "list": {1, 0}, "key": {1, 0}} {
		got, err := h.File("/cas/x.pem", contents[name])
		blocks, _ := certfile.Blocks(got)
		certs, certErr := certfile.Authorities(got)
		if err != nil || certErr != nil || len(blocks) != want[0] || len(certs) != want[1] {
			t.Errorf("%s: %v %v\n%s", name, err, certErr, got)
		}
	}
	for _, name := range []string{"ticket keys", "raw ticket keys"} {
		got, _ := h.File("/e/tickets", contents[name])
		a, _ := tickets.ParseKeys(contents[name])
		b, err := tickets.ParseKeys(got)
		if err != nil || len(a) != 1 || len(b) != 1 || !bytes.Equal(a[0], b[0]) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// Those who keep keys themselves get certificates, keys and a password.
	h = handoutOf(false)
	for path, name := range map[string]string{"/e/cert.pem": "both", "/certs/x.key": "key", "/e/key.pem": "DER key"} {
		if got, err := h.File(path, contents[name]); err != nil || !bytes.Equal(got, contents[name]) {
			t.Errorf("%s: %v\n%s", path, err, got)
		}
	}
	if got, err := h.File("/e/cert.pem", []byte(shadow)); err == nil {
		t.Errorf("%q", got)
	}
	if got, err := h.File("/e/word", []byte("secret\nmore\n")); err != nil || string(got) != "secret\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzHandout: whatever a file holds, no key comes out where none belongs, and
// what comes out can be read again to the same.
func FuzzHandout(f *testing.F) {
	d := newDossier(f)
	for _, data := range [][]byte{d.cert, d.key, append(bytes.Clone(d.cert), d.key...), d.list, d.certDER, d.keyDER, append(bytes.Clone(d.keyDER), '\n'), d.staple, []byte(shadow), []byte("cn ann\n"), bytes.Repeat([]byte{1}, 48)} {
		f.Add(data)
	}
	paths := []string{"/cas/x.pem", "/cas/x.crt", "/crls/x.crl", "/e/staple", "/e/tickets", "/e/allow", "/e/ca.pem"}
	f.Fuzz(func(t *testing.T, data []byte) {
		h := handoutOf(true)
		for _, path := range paths {
			got, err := h.File(path, data)
			if err != nil {
				continue
			}
			if bytes.Contains(got, []byte("PRIVATE KEY")) && path != "/e/staple" && path != "/e/allow" {
				t.Fatalf("%s: %q", path, got)
			}
			again, err := h.File(path, got)
			if err != nil || !bytes.Equal(again, got) {
				t.Fatalf("%s: %q, again %q, %v", path, got, again, err)
			}
		}
	})
}
