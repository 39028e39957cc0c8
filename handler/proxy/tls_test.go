package proxy_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
	"netserver/tlsparams"
	"netserver/tlsparams/outbound"
)

// tlsTarget is a backend that shows cert and says what it was asked.
func tlsTarget(t testing.TB, conf *tls.Config) net.Listener {
	return script(t, func(nc net.Conn) {
		c := tls.Server(nc, conf)
		if c.Handshake() != nil {
			return
		}
		state := c.ConnectionState()
		peer := "nobody"
		if len(state.PeerCertificates) > 0 {
			peer = state.PeerCertificates[0].Subject.CommonName
		}
		resumed := "full"
		if state.DidResume {
			resumed = "resumed"
		}
		io.WriteString(c, strings.Join([]string{state.ServerName, state.NegotiatedProtocol, peer, resumed}, "|"))
		c.CloseWrite()
		io.Copy(io.Discard, c)
	})
}

func certConf(p netservertest.Pair) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{p.TLS}}
}

// selfSigned is a certificate that is its own authority.
func selfSigned(t testing.TB) netservertest.Pair {
	ca := netservertest.NewCA(t, "alone")
	var p netservertest.Pair
	p.TLS.Certificate, p.TLS.PrivateKey = [][]byte{ca.Cert.Raw}, ca.Key
	return p
}

func pinOf(t testing.TB, p netservertest.Pair) []byte {
	t.Helper()
	c, err := x509.ParseCertificate(p.TLS.Certificate[0])
	must(t, err)
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return sum[:]
}

// Each mistake of a target is told in one line that says what to do, and the
// client's connection ends.
func TestUntrustedTargets(t *testing.T) {
	ca := netservertest.CA(t)
	good := ca.Issue(t, netservertest.Leaf{})
	closes := script(t, func(c net.Conn) { c.Read(make([]byte, 8<<10)) })
	plain := script(t, func(c net.Conn) { io.WriteString(c, "220 mail.example ESMTP\r\n"); io.Copy(io.Discard, c) })
	silent := script(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	wantsCert := certConf(good)
	wantsCert.ClientAuth, wantsCert.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
	old := certConf(good)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	for _, test := range []struct {
		name string
		l    net.Listener
		p    outbound.Params
		want string // in the record's error, behind "proxy_to TARGET: TLS: "
	}{
		{"another authority", tlsTarget(t, certConf(netservertest.NewCA(t, "else").Issue(t, netservertest.Leaf{}))), outbound.Params{CAFiles: []string{authorityFile(t)}}, "certificate signed by unknown authority (CN=localhost, valid until "},
		{"an unknown authority", tlsTarget(t, certConf(good)), outbound.Params{}, "; give backend_ca_file"},
		{"self-signed", tlsTarget(t, certConf(selfSigned(t))), outbound.Params{}, "its certificate is self-signed (CN=alone, valid until "},
		{"expired", tlsTarget(t, certConf(ca.Issue(t, netservertest.Leaf{Name: "old", Until: time.Now().Add(-time.Hour)}))), outbound.Params{CAFiles: []string{authorityFile(t)}}, "the certificate CN=old expired on "},
		{"not yet", tlsTarget(t, certConf(ca.Issue(t, netservertest.Leaf{Name: "new", From: time.Now().Add(time.Hour)}))), outbound.Params{CAFiles: []string{authorityFile(t)}}, "the certificate CN=new is not valid before "},
		{"another host", tlsTarget(t, certConf(ca.Issue(t, netservertest.Leaf{Name: "x", Hosts: []string{"a.example", "b.example"}}))), outbound.Params{CAFiles: []string{authorityFile(t)}}, "its certificate is for a.example, b.example, not for 127.0.0.1; give the right one with backend_verify_name"},
		{"another name", tlsTarget(t, certConf(good)), outbound.Params{CAFiles: []string{authorityFile(t)}, VerifyName: "db.example"}, "its certificate is for localhost, 127.0.0.1, ::1, not for db.example"},
		{"a client's certificate", tlsTarget(t, certConf(ca.Issue(t, netservertest.Leaf{Name: "c", Hosts: []string{"127.0.0.1"}, Client: true}))), outbound.Params{CAFiles: []string{authorityFile(t)}}, "is not made for servers"},
		{"another key", tlsTarget(t, certConf(good)), outbound.Params{Pins: []string{hex.EncodeToString(make([]byte, 32))}}, "its key is not that of backend_pin: the certificate (CN=localhost, valid until "},
		{"no TLS", plain, outbound.Params{Unverified: true}, `the target does not speak TLS here: it sent "220 m"; if TLS begins later there, as with mail, give backend_starttls`},
		{"closes", closes, outbound.Params{Unverified: true}, "the target closed the connection"},
		{"silent", silent, outbound.Params{Unverified: true}, "not done within 1s"},
		{"wants a certificate", tlsTarget(t, wantsCert), outbound.Params{Unverified: true}, "the target ended it with the alert "},
		{"old versions only", tlsTarget(t, old), outbound.Params{Unverified: true}, "the target ended it with the alert protocol_version: it has no version of TLS in common with us; see backend_version"},
	} {
		for _, client := range []string{"tcp", "tls"} {
			t.Run(test.name+" for "+client, func(t *testing.T) {
				h := &proxy.Handler{Target: targetOf(test.l), ConnectTimeout: patience}
				if test.name == "silent" {
					h.ConnectTimeout = time.Second
				}
				s, err := test.p.Open(tlsparams.Env{})
				must(t, err)
				h.TLS = proxy.OverTLS(s)
				f := serve(t, client, h, netserver.Config{})
				c := f.dial(t)
				io.Copy(io.Discard, c)
				r := f.record(t)
				if begin := "handler: proxy_to " + h.Target + ": TLS: "; r.Err == nil || !strings.Contains(r.Err.Error(), begin) ||
					!strings.Contains(r.Err.Error(), test.want) || strings.Count(r.Err.Error(), "\n") > 0 {
					t.Errorf("record: %v\nwant %q and %q", r.Err, begin, test.want)
				}
			})
		}
	}
}

func TestTrustedTargets(t *testing.T) {
	ca := netservertest.CA(t)
	good, mine := ca.Issue(t, netservertest.Leaf{}), ca.Issue(t, netservertest.Leaf{Name: "me", Client: true})
	named := ca.Issue(t, netservertest.Leaf{Name: "x", Hosts: []string{"db.example"}})
	asks := certConf(good)
	asks.ClientAuth, asks.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	asks.ClientCAs.AddCert(ca.Cert)
	asks12 := asks.Clone()
	asks12.MaxVersion = tls.VersionTLS12
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw}), 0o600))
	alpn := certConf(good)
	alpn.NextProtos = []string{"imap", "postgresql"}
	alone := selfSigned(t)
	cas := []string{authorityFile(t)}
	for _, test := range []struct {
		name string
		conf *tls.Config
		p    outbound.Params
		want string
	}{
		{"by address", certConf(good), outbound.Params{CAFiles: cas}, "||nobody|full"},
		{"by a directory", certConf(good), outbound.Params{CAPath: []string{dir}}, "||nobody|full"},
		{"by name", certConf(named), outbound.Params{CAFiles: cas, ServerName: "db.example"}, "db.example||nobody|full"},
		{"by another name", certConf(named), outbound.Params{CAFiles: cas, ServerName: "asked.example", VerifyName: "db.example"}, "asked.example||nobody|full"},
		{"by pin", certConf(alone), outbound.Params{Pins: []string{strings.Repeat("00", 32), hex.EncodeToString(pinOf(t, alone))}}, "||nobody|full"},
		{"by pin in base64", certConf(alone), outbound.Params{Pins: []string{base64.StdEncoding.EncodeToString(pinOf(t, alone))}}, "||nobody|full"},
		{"by pin and authority", certConf(good), outbound.Params{Pins: []string{hex.EncodeToString(pinOf(t, good))}, CAFiles: cas}, "||nobody|full"},
		{"anybody", certConf(alone), outbound.Params{Unverified: true}, "||nobody|full"},
		{"with a certificate", asks, outbound.Params{CAFiles: cas, CertFile: mine.CertFile, KeyFile: mine.KeyFile}, "||me|full"},
		{"with a certificate over TLS 1.2", asks12, outbound.Params{CAFiles: cas, CertFile: mine.CertFile, KeyFile: mine.KeyFile}, "||me|full"},
		{"with ALPN", alpn, outbound.Params{CAFiles: cas, ALPN: []string{"postgresql"}}, "|postgresql|nobody|full"},
		{"TLS 1.2, one suite, one group", certConf(good), outbound.Params{CAFiles: cas, Version: "TLSv1_2", CipherList: "ECDHE-ECDSA-AES256-GCM-SHA384", Curves: "P-384"}, "||nobody|full"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := tlsTarget(t, test.conf)
			f := serve(t, "tcp", &proxy.Handler{Target: targetOf(l), TLS: overTLS(t, test.p)}, netserver.Config{})
			for _, want := range []string{test.want, strings.Replace(test.want, "full", "resumed", 1)} {
				c := f.dial(t)
				b, err := io.ReadAll(c)
				if string(b) != want || err != nil {
					t.Errorf("%q, %v; want %q", b, err, want)
				}
				c.Close()
				if r := f.record(t); r.Err != nil {
					t.Errorf("record: %v", r.Err)
				}
			}
		})
	}
}

// What a client asks for by SNI, its target is asked for too, and has to be.
func TestServerNameOfClient(t *testing.T) {
	ca := netservertest.CA(t)
	l := tlsTarget(t, certConf(ca.Issue(t, netservertest.Leaf{Hosts: []string{"a.example", "127.0.0.1"}})))
	f := serve(t, "tls", &proxy.Handler{Target: targetOf(l), TLS: overTLS(t, outbound.Params{ServerName: outbound.ServerNameOfClient})}, netserver.Config{})
	for name, want := range map[string]string{"a.example": "a.example||nobody|full", "": "||nobody|full", "b.example": ""} {
		nc, err := net.Dial("tcp", f.addr.String())
		must(t, err)
		c := tls.Client(nc, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		b, _ := io.ReadAll(c)
		c.Close()
		if string(b) != want {
			t.Errorf("%q: %q, want %q", name, b, want)
		}
		if r := f.record(t); (r.Err == nil) != (want != "") || r.Err != nil && !strings.Contains(r.Err.Error(), "its certificate is for a.example, 127.0.0.1, not for b.example") {
			t.Errorf("%q: record: %v", name, r.Err)
		}
	}
}

// A target that ends the connection without close_notify may not have said all
// that it wanted to: the client must not take it for the end.
func TestTruncatedTarget(t *testing.T) {
	for _, client := range []string{"tcp", "tls"} {
		t.Run(client, func(t *testing.T) {
			f, c, b := pair(t, client, "tls", netserver.Config{})
			send(t, b, "half of it")
			want(t, c, "half of it")
			must(t, below(b).(*net.TCPConn).CloseWrite())
			wantBroken(t, c)
			r := f.record(t)
			want := "proxy_to " + b.LocalAddr().String() + ": reading from it: TLS: it ended the connection without close_notify"
			if r.Err == nil || !strings.Contains(r.Err.Error(), want) {
				t.Errorf("record: %v\nwant %q", r.Err, want)
			}
		})
	}
}

// A target of TLS 1.3 refuses a certificate after our handshake is done.
func TestTargetRefusesLater(t *testing.T) {
	conf := certConf(netservertest.CA(t).Issue(t, netservertest.Leaf{}))
	conf.ClientAuth = tls.RequireAnyClientCert
	l := tlsTarget(t, conf)
	f := serve(t, "tcp", &proxy.Handler{Target: targetOf(l), TLS: overTLS(t, outbound.Params{})}, netserver.Config{})
	if nc, err := net.Dial("tcp", f.addr.String()); err == nil { // else it was reset already
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		wantBroken(t, nc)
	}
	wantRecord(t, f, "proxy_to "+targetOf(l)+": reading from it: TLS: the target ended it with the alert certificate_required: it wants a certificate; give backend_cert_file")
}
