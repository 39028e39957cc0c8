package daemon_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"netserver/internal/control"
	"netserver/netservertest"
)

// delayed makes a storage whose names have failed just now, so that another node
// orders for them.
func delayed(t *testing.T, storage string, names ...string) {
	t.Helper()
	past := make(map[string]any)
	for _, name := range names {
		past[name] = map[string]any{"failures": 1, "last": time.Now(), "next": time.Now().Add(time.Hour), "told": true}
	}
	text, err := json.Marshal(past)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(storage, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, storage, "state.json", text)
	os.Chmod(filepath.Join(storage, "state.json"), 0o600)
}

// A node orders; the authority comes to another one, which answers. Both serve
// the certificate, of one order; a third has it from its start on, without one.
// The cluster process can have neither key.
func TestClusterSharesCertificates(t *testing.T) {
	both(t, func(t *testing.T, supervisor string) {
		t.Parallel()
		p := startPebble(t, quarter, nil)
		shared, store := sharedDir(t, supervisor)
		key := make([]byte, 32) // that no program has in it
		rand.Read(key)
		writeFile(t, shared[3], hex.EncodeToString(key)+"\n")
		dir := openDir(t)
		node := func(name, port string) (*running, *pebble, string) {
			own := &pebble{directory: p.directory, caFile: p.caFile, control: p.control, client: p.client, port: port}
			storage := filepath.Join(dir, name)
			if name == "b" {
				delayed(t, storage, "a.example")
			}
			r := start(t, own.keys(storage, append(shared, "--acme_domains", "a.example", "--cluster_name", name)...)...)
			r.wait("acme: there is no certificate for a.example yet", 1)
			return r, own, storage
		}
		b, atB, inB := node("b", p.port)
		netservertest.Eventually(t, "b is a node", func() bool {
			list, err := filepath.Glob(store + "/*/*")
			return err == nil && strings.Contains(fmt.Sprint(list), "acme")
		})
		a, atA, inA := node("a", freePort(t))
		issued := atA.awaitIssued(t, "a.example", nil)
		a.wait(obtained, 1)
		b.wait("acme: certificate for a.example taken from node a", 1)
		netservertest.Eventually(t, "b serves it", func() bool { c, err := atB.shown("a.example"); return err == nil && c.Equal(issued) })
		if n := strings.Count(b.text(), "challenge answered"); n == 0 {
			t.Error("b has not answered the authority")
		}
		c, atC, _ := node("c", freePort(t))
		netservertest.Eventually(t, "c serves it", func() bool { k, err := atC.shown("a.example"); return err == nil && k.Equal(issued) })
		c.wait("acme: certificate for a.example taken from node a", 1)
		if n := strings.Count(p.text(), "Added order"); n != 1 {
			t.Errorf("%d orders", n)
		}
		if string(fileOf(t, filepath.Join(inA, "certificates", "a.example.pem"))) != string(fileOf(t, filepath.Join(inB, "certificates", "a.example.pem"))) {
			t.Error("the files differ")
		}
		checkModes(t, inB)
		if supervisor != "0" && os.Geteuid() == 0 {
			secrets := append(keyOf(t, inA+"/account-*.key").secrets(t)[:2], keyOf(t, inA+"/certificates/a.example.pem").secrets(t)[:2]...)
			secrets = append(secrets, key, []byte(hex.EncodeToString(key)))
			for _, r := range []*running{a, b, c} {
				if found := memoryHas(t, r.clusterPID(1), secrets); len(found) > 0 {
					t.Errorf("the cluster process has secrets %v in its memory", found)
				}
			}
		}
		for _, r := range []*running{a, b, c} {
			if status := r.end(syscall.SIGTERM); status != 0 {
				t.Errorf("status %d", status)
			}
		}
	})
}

// A node that cannot reach the responder of its certificate serves the OCSP
// response that another has fetched.
func TestClusterSharesStaples(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(quarter)}
	caDER := signed(t, ca, ca, key)
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		q, err := ocsp.ParseRequest(body)
		if err != nil || down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		der, _ := ocsp.CreateResponse(ca, ca, ocsp.Response{Status: ocsp.Good, SerialNumber: q.SerialNumber, ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(24 * time.Hour)}, key)
		w.Write(der)
	}))
	defer responder.Close()
	leaf := signed(t, &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"}, OCSPServer: []string{responder.URL}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter}, ca, key)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, b := range []*pem.Block{{Type: "CERTIFICATE", Bytes: leaf}, {Type: "CERTIFICATE", Bytes: caDER}, {Type: "PRIVATE KEY", Bytes: keyDER}} {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	args, store := sharedDir(t, "1")
	file := put(t, openDir(t), "x.pem", text)
	node := func(name string) (*running, string) {
		r, socket := startCtl(t, append(args, "--cluster_name", name, "--port", "127.0.0.1:0/ssl", "--SSL_cert_file", file, "--SSL_ocsp_staple", "1", "--log_level", "3")...)
		clusterOf(t, socket, name+" is a node", func(c *control.Cluster) bool { return c.StoreUp })
		return r, socket
	}
	stapled := func(r *running) []byte {
		c, err := tls.Dial("tcp", r.addr(0), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return nil
		}
		defer c.Close()
		return c.ConnectionState().OCSPResponse
	}
	a, _ := node("a")
	netservertest.Eventually(t, "a has a response", func() bool { return stapled(a) != nil })
	netservertest.Eventually(t, "it is in the store", func() bool {
		list, err := filepath.Glob(store + "/*/*ocsp*")
		return err == nil && len(list) > 0
	})
	down.Store(true)
	b, bctl := node("b")
	netservertest.Eventually(t, "b has it too", func() bool {
		if der := stapled(b); der != nil {
			return bytes.Equal(der, stapled(a))
		}
		ctl(bctl, "reload") // another worker asks: the first may have been there before the cluster process
		return false
	})
}

// signed makes a certificate, of a key that is the authority's too.
func signed(t *testing.T, c, by *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := x509.ParseCertificate(der); err == nil {
		*c = *parsed
	}
	return der
}
