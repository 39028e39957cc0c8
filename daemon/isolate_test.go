//go:build unix

package daemon_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"netserver/netservertest"
)

// A keyed is a certificate with its key, and what of the key must not be seen.
type keyed struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte // of the key
}

// newKeyed makes a certificate of its own for a new key of a kind.
func newKeyed(t testing.TB, kind string) keyed {
	t.Helper()
	var k keyed
	var err error
	switch kind {
	case "RSA":
		k.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "P-256":
		k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		k.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "Ed25519":
		_, k.key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"www.example.com"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.key.Public(), k.key)
	if err != nil {
		t.Fatal(err)
	}
	if k.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	k.pem = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k.pkcs8(t)})
	return k
}

func (k keyed) pkcs8(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (k keyed) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.cert.Raw})
}

// secrets are bytes that only who has the key has: numbers in both orders, as
// files and as arithmetic hold them, and a part of PEM.
func (k keyed) secrets(t testing.TB) [][]byte {
	t.Helper()
	var list [][]byte
	switch key := k.key.(type) {
	case *rsa.PrivateKey:
		list = append(list, key.D.Bytes(), key.Primes[0].Bytes(), key.Primes[1].Bytes())
	case *ecdsa.PrivateKey:
		b, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	case ed25519.PrivateKey:
		list = append(list, key.Seed())
	}
	for _, b := range list[:len(list):len(list)] {
		b = slices.Clone(b)
		slices.Reverse(b)
		list = append(list, b)
	}
	return append(list, k.text(t, list[0]))
}

// text returns a part of the key's PEM that holds bytes of secret and is within
// a line. How a file begins is the same for all keys of a kind.
func (k keyed) text(t testing.TB, secret []byte) []byte {
	t.Helper()
	der := k.pkcs8(t)
	from := bytes.Index(der, secret)
	if from < 0 {
		t.Fatal("the key is not in its file")
	}
	const lineBytes, part = 48, 18 // of a line of 64 characters; 24 of them
	from = (from + 2) / 3 * 3
	if from%lineBytes > lineBytes-part {
		from += lineBytes - from%lineBytes
	}
	return []byte(base64.StdEncoding.EncodeToString(der[from : from+part]))
}

// memoryHas tells which of the secrets are in a process's memory, its command
// line and environment included.
func memoryHas(t *testing.T, pid int, secrets [][]byte) []int {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Skip("this system does not show the memory of processes: ", err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skip("the memory of processes cannot be read: ", err)
	}
	defer mem.Close()
	found := make(map[int]bool)
	read := 0
	for s := bufio.NewScanner(maps); s.Scan(); {
		var from, to int64
		var mode string
		fmt.Sscanf(s.Text(), "%x-%x %s", &from, &to, &mode)
		if !strings.HasPrefix(mode, "r") || strings.Contains(s.Text(), "[vvar") || strings.Contains(s.Text(), "[vsyscall]") {
			continue
		}
		const step = 1 << 20
		buf := make([]byte, step+4096)
		for at := from; at < to; at += step {
			n, _ := mem.ReadAt(buf[:min(int64(len(buf)), to-at)], at)
			read += n
			for i, sec := range secrets {
				if bytes.Contains(buf[:n], sec) {
					found[i] = true
				}
			}
		}
	}
	if read < 1<<20 {
		t.Fatalf("only %d bytes of memory could be read", read)
	}
	var list []int
	for i := range secrets {
		if found[i] {
			list = append(list, i)
		}
	}
	return list
}

// The ways in which a key comes, each writing files and returning arguments.
var waysOfKeys = map[string]struct {
	kind  string
	write func(t *testing.T, dir string, k keyed) []string
}{
	"two files":   {"P-256", twoFiles},
	"RSA":         {"RSA", twoFiles},
	"Ed25519":     {"Ed25519", twoFiles},
	"one file":    {"RSA", oneFile},
	"encrypted":   {"P-256", encrypted},
	"PKCS #12":    {"RSA", asPKCS12},
	"directory":   {"P-384", directory},
	"by SNI name": {"P-256", bySNIName},
}

func put(t *testing.T, dir, name string, data ...[]byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file+".new", bytes.Join(data, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	return file
}

func twoFiles(t *testing.T, dir string, k keyed) []string {
	key := put(t, dir, "key.pem", k.pem)
	return []string{"--SSL_cert_file", put(t, dir, "cert.pem", k.certPEM()), "--SSL_key_file", key}
}

func oneFile(t *testing.T, dir string, k keyed) []string {
	return []string{"--SSL_cert_file", put(t, dir, "both.pem", k.certPEM(), k.pem)}
}

// passphrase is made at run time: a constant would be part of every process.
var passphrase = rand.Text()

func encrypted(t *testing.T, dir string, k keyed) []string {
	der, err := pkcs8.MarshalPrivateKey(k.key, []byte(passphrase), nil)
	if err != nil {
		t.Fatal(err)
	}
	key := put(t, dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}))
	word := put(t, dir, "passphrase", []byte(passphrase+"\n"))
	return []string{"--SSL_cert_file", put(t, dir, "cert.pem", k.certPEM()), "--SSL_key_file", key, "--SSL_passwd_file", word}
}

func asPKCS12(t *testing.T, dir string, k keyed) []string {
	data, err := pkcs12.Modern.Encode(k.key, k.cert, nil, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	word := put(t, dir, "passphrase", []byte(passphrase+"\n"))
	return []string{"--SSL_cert_file", put(t, dir, "pair.p12", data), "--SSL_passwd_file", word}
}

func directory(t *testing.T, dir string, k keyed) []string {
	put(t, dir, "one.key", k.pem)
	put(t, dir, "one.crt", k.certPEM())
	return []string{"--SSL_cert_dir", dir}
}

func bySNIName(t *testing.T, dir string, k keyed) []string {
	key := put(t, dir, "key.pem", k.pem)
	return []string{"--SSL_cert_file", "www.example.com=" + put(t, dir, "cert.pem", k.certPEM()), "--SSL_key_file", "www.example.com=" + key}
}

// handshake makes one full handshake and returns the certificate's number.
func handshake(t testing.TB, addr string, version uint16, k ...keyed) string {
	t.Helper()
	pool := x509.NewCertPool()
	for _, k := range k {
		pool.AddCert(k.cert)
	}
	c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "www.example.com", MaxVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// TestNoKeyInAWorker searches a worker's memory for keys, before and after a
// renewal. With key_isolation 0 they are there, so that the search is known to
// find them.
func TestNoKeyInAWorker(t *testing.T) {
	for name, way := range waysOfKeys {
		for _, isolation := range []string{"0", "1"} {
			t.Run(name+"/"+isolation, func(t *testing.T) {
				dir := openDir(t)
				first, second := newKeyed(t, way.kind), newKeyed(t, way.kind)
				args := append([]string{"--port", "127.0.0.1:0/ssl", "--key_isolation", isolation}, way.write(t, dir, first)...)
				r := start(t, args...)
				addr := r.addr(0)
				r.serving()
				for range 3 {
					handshake(t, addr, tls.VersionTLS13, first)
					handshake(t, addr, tls.VersionTLS12, first)
				}
				pid := r.only()
				way.write(t, dir, second)
				netservertest.Eventually(t, "the renewed certificate", func() bool {
					return handshake(t, addr, 0, first, second) == second.cert.SerialNumber.String()
				})
				for range 3 {
					handshake(t, addr, tls.VersionTLS13, second)
					handshake(t, addr, tls.VersionTLS12, second)
				}
				secrets := append(first.secrets(t), second.secrets(t)...)
				secrets = append(secrets, []byte(passphrase))
				found := memoryHas(t, pid, secrets)
				if isolation == "1" && len(found) > 0 {
					t.Errorf("secrets %v of %d are in the worker's memory", found, len(secrets))
				}
				if isolation == "0" && len(found) == 0 {
					t.Error("the search finds no key even where it must be")
				}
				if r.only() != pid {
					t.Error("another worker")
				}
			})
		}
	}
}

// TestNoSelfSignedKeyInAWorker: nor is the key there that is made in memory.
func TestNoSelfSignedKeyInAWorker(t *testing.T) {
	r := start(t, "--port", "127.0.0.1:0/ssl", "--key_isolation", "1")
	addr := r.addr(0)
	r.serving()
	leafOf(t, addr)
	// The test does not know the key; a worker without isolation has it as PEM.
	// Its beginning is that of every such key; built here, as a constant would
	// be part of every process.
	k := newKeyed(t, "P-256")
	mark := [][]byte{bytes.Split(k.pem, []byte("\n"))[1][:24]}
	if found := memoryHas(t, r.only(), mark); len(found) > 0 {
		t.Error("a key is in the worker's memory")
	}
	bare := start(t, "--port", "127.0.0.1:0/ssl", "--key_isolation", "0")
	bare.serving()
	leafOf(t, bare.addr(0))
	if found := memoryHas(t, bare.only(), mark); len(found) == 0 {
		t.Error("the search finds no key even where it must be")
	}
}
