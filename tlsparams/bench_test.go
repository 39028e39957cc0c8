package tlsparams

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// manyCerts writes n certificates of one authority with their chain, each for
// a name of its own.
func manyCerts(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	inter := newCA(t, "root").ca(t, "inter")
	chain := certPEM(inter.cert)
	for i := range n {
		c, k := inter.server(t, hostName(i))
		writeFile(t, dir, fmt.Sprintf("%05d.pem", i), certPEM(c), chain, keyPEM(t, k))
	}
	return dir
}

func hostName(i int) string { return fmt.Sprintf("host%d.example.com", i) }

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestManyCertificates measures what a certificate costs, and that a changed
// one is read again by itself.
func TestManyCertificates(t *testing.T) {
	const n = 500
	dir := manyCerts(t, n)
	before, start := heap(), time.Now()
	s := open(t, Env{}, "SSL_cert_dir="+dir)
	load := time.Since(start)
	each := (heap() - before) / uint64(n)
	t.Logf("%d certificates: loaded in %v, %d bytes each", n, load, each)
	if each > 12<<10 && !raceEnabled {
		t.Errorf("%d bytes a certificate", each)
	}
	reads := 0
	s.env.ReadFile = func(f string) ([]byte, error) { reads++; return os.ReadFile(f) }
	file := filepath.Join(dir, "00042.pem")
	os.Rename(writeFile(t, t.TempDir(), "x", mustRead(t, filepath.Join(dir, "00041.pem"))), file)
	start = time.Now()
	if err := s.Reload(file); err != nil {
		t.Fatal(err)
	}
	t.Logf("one replaced in %v with %d reads", time.Since(start), reads)
	if reads > 1 {
		t.Errorf("%d reads for one changed file", reads)
	}
	runtime.KeepAlive(s)
}

// BenchmarkLoad is the start with ten thousand certificates, and the reading of
// one that has changed.
func BenchmarkLoad(b *testing.B) {
	const n = 10000
	dir := manyCerts(b, n)
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			before := heap()
			s := open(b, Env{}, "SSL_cert_dir="+dir)
			b.ReportMetric(float64(heap()-before)/n, "bytes/certificate")
			runtime.KeepAlive(s)
		}
	})
	b.Run("one", func(b *testing.B) {
		s := open(b, Env{}, "SSL_cert_dir="+dir)
		file := filepath.Join(dir, "00042.pem")
		data := [][]byte{mustRead(b, file), mustRead(b, filepath.Join(dir, "00041.pem"))}
		for i := 0; b.Loop(); i++ {
			os.WriteFile(file, data[i%2], 0o600)
			if err := s.Reload(file); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func mustRead(t testing.TB, f string) []byte {
	t.Helper()
	data, err := os.ReadFile(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func BenchmarkSNI(b *testing.B) {
	for _, n := range []int{1, 10000} {
		s := open(b, Env{}, "SSL_cert_dir="+manyCerts(b, n))
		hello := &tls.ClientHelloInfo{ServerName: hostName(n / 2), SupportedVersions: []uint16{tls.VersionTLS13}}
		b.Run(fmt.Sprintf("certificates=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c, err := s.Config().GetCertificate(hello); c == nil || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConfigForClient is the choice for a client with ALPN and the server's
// order of suites.
func BenchmarkConfigForClient(b *testing.B) {
	s := open(b, Env{Loopback: true}, "SSL_alpn_protocols=h2,http/1.1", "SSL_cipher_list=ECDHE+AESGCM")
	hello := &tls.ClientHelloInfo{ServerName: "localhost", SupportedProtos: []string{"http/1.1"}, SupportedVersions: []uint16{tls.VersionTLS13}}
	b.ReportAllocs()
	for b.Loop() {
		s.Config().GetConfigForClient(hello)
	}
}

func BenchmarkJudge(b *testing.B) {
	ca := newCA(b, "ca")
	env := Env{Loopback: true, ClientCAs: x509.NewCertPool()}
	env.ClientCAs.AddCert(ca.cert)
	s := open(b, env, "SSL_verify_mode=3", "SSL_allow_cn=ann")
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{ca.person(b, "ann", nil).cert}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Judge(b.Context(), state); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHandshake compares a full TLS 1.3 handshake with that of a plain
// tls.Config, in the same run.
func BenchmarkHandshake(b *testing.B) {
	s := open(b, Env{Loopback: true}, "SSL_alpn_protocols=h2")
	bare := &Source{}
	g := &generation{base: &tls.Config{Certificates: []tls.Certificate{*s.self.tls}}}
	bare.cur.Store(g)
	for name, src := range map[string]*Source{"source": s, "bare": bare} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := shake(b, src, anyClient()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
