package tlsparams

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

// public is a port that is not on loopback: nothing is made up for it.
func public(c *tls.Config) Env { return Env{Where: "port 443/ssl", TLSConfig: c} }

func (a *testCA) serverTLS(t testing.TB, names ...string) tls.Certificate {
	c, key := a.server(t, names...)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

func (a *testCA) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// What becomes of the fields of a tls.Config.
const (
	taken   = "taken"   // it is in the configuration that handshakes see, as it is
	merged  = "merged"  // the engine's own field has the same effect: other tests show it
	refused = "refused" // Open names it in an error
	client  = "client"  // it is for clients, or does nothing
)

// TestTLSConfigFields knows every field of tls.Config: one that Go adds has to
// be decided about.
func TestTLSConfigFields(t *testing.T) {
	cert := newCA(t, "ca").serverTLS(t, "localhost")
	fields := map[string]struct {
		fate  string
		value any
	}{
		"Rand":                                {taken, rand.Reader},
		"Time":                                {taken, time.Now},
		"Certificates":                        {merged, nil},
		"NameToCertificate":                   {refused, map[string]*tls.Certificate{"x": &cert}},
		"GetCertificate":                      {merged, nil},
		"GetClientCertificate":                {client, func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, nil }},
		"GetConfigForClient":                  {merged, nil},
		"VerifyPeerCertificate":               {merged, nil},
		"VerifyConnection":                    {merged, nil},
		"RootCAs":                             {client, x509.NewCertPool()},
		"NextProtos":                          {taken, []string{"a", "b"}},
		"ServerName":                          {client, "x"},
		"ClientAuth":                          {merged, nil},
		"ClientCAs":                           {merged, nil},
		"InsecureSkipVerify":                  {client, true},
		"CipherSuites":                        {taken, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}},
		"PreferServerCipherSuites":            {client, true},
		"SessionTicketsDisabled":              {taken, true},
		"SessionTicketKey":                    {refused, [32]byte{1}},
		"ClientSessionCache":                  {client, tls.NewLRUClientSessionCache(1)},
		"UnwrapSession":                       {refused, func([]byte, tls.ConnectionState) (*tls.SessionState, error) { return nil, nil }},
		"WrapSession":                         {refused, func(tls.ConnectionState, *tls.SessionState) ([]byte, error) { return nil, nil }},
		"MinVersion":                          {taken, uint16(tls.VersionTLS13)},
		"MaxVersion":                          {taken, uint16(tls.VersionTLS12)},
		"CurvePreferences":                    {taken, []tls.CurveID{tls.CurveP256}},
		"DynamicRecordSizingDisabled":         {taken, true},
		"Renegotiation":                       {client, tls.RenegotiateFreelyAsClient},
		"KeyLogWriter":                        {taken, io.Discard},
		"EncryptedClientHelloConfigList":      {client, []byte{1}},
		"EncryptedClientHelloRejectionVerify": {client, func(tls.ConnectionState) error { return nil }},
		"GetEncryptedClientHelloKeys":         {taken, func(*tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) { return nil, nil }},
		"EncryptedClientHelloKeys":            {taken, []tls.EncryptedClientHelloKey{{SendAsRetry: true}}},
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[tls.Config]()) {
		what, known := fields[f.Name]
		if !f.IsExported() || known && what.fate == merged {
			continue
		}
		if !known {
			t.Errorf("nobody has decided what becomes of tls.Config.%s in Env.TLSConfig", f.Name)
			continue
		}
		own := &tls.Config{Certificates: []tls.Certificate{cert}}
		reflect.ValueOf(own).Elem().FieldByIndex(f.Index).Set(reflect.ValueOf(what.value).Convert(f.Type))
		s, err := Params{}.Open(public(own))
		if what.fate == refused {
			if err == nil || !strings.Contains(err.Error(), "TLSConfig."+f.Name) {
				t.Errorf("%s: %v", f.Name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		got := reflect.ValueOf(s.Config()).Elem().FieldByIndex(f.Index)
		switch {
		case what.fate == client && !got.IsZero():
			t.Errorf("%s is set on a server", f.Name)
		case what.fate == taken && f.Type.Kind() == reflect.Func:
			if got.Pointer() != reflect.ValueOf(what.value).Pointer() {
				t.Errorf("%s is another function", f.Name)
			}
		case what.fate == taken && !reflect.DeepEqual(got.Interface(), what.value):
			t.Errorf("%s is %v, want %v", f.Name, got, what.value)
		}
	}
}

// TestTLSConfigIsNotChanged: neither by Open and handshakes, nor can the caller
// change what is served afterwards.
func TestTLSConfigIsNotChanged(t *testing.T) {
	ca := newCA(t, "ca")
	own := &tls.Config{Certificates: []tls.Certificate{ca.serverTLS(t, "a.example")}, ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs: ca.pool(), NextProtos: []string{"x"}, MinVersion: tls.VersionTLS13}
	before := own.Clone()
	s := open(t, public(own))
	if _, _, err := shake(t, s, ca.person(t, "ann", nil).config()); err != nil {
		t.Fatal(err)
	}
	a, b := reflect.ValueOf(own).Elem(), reflect.ValueOf(before).Elem()
	for _, f := range reflect.VisibleFields(a.Type()) {
		if f.IsExported() && f.Type.Kind() != reflect.Func && !reflect.DeepEqual(a.FieldByIndex(f.Index).Interface(), b.FieldByIndex(f.Index).Interface()) {
			t.Errorf("%s was changed", f.Name)
		}
	}
	own.ClientAuth, own.Certificates = tls.NoClientCert, nil
	if _, _, err := shake(t, s, anyClient()); err == nil {
		t.Error("the caller has changed what is served")
	}
}

// TestGetCertificateAnywhere: a function is enough, on any address; what it
// serves resumes.
func TestGetCertificateAnywhere(t *testing.T) {
	ca := newCA(t, "ca")
	get := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName != "a.example" {
			return nil, nil
		}
		c := ca.serverTLS(t, hello.ServerName)
		return &c, nil
	}
	hook := Env{Where: "port 443/ssl", Hooks: Hooks{Config: func(c *tls.Config) { c.GetCertificate = get }}}
	for name, env := range map[string]Env{"TLSConfig": public(&tls.Config{GetCertificate: get}), "Hooks.Config": hook} {
		s := open(t, env)
		cfg := &tls.Config{RootCAs: ca.pool(), ServerName: "a.example", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		for i := range 2 {
			srv, _, err := shake(t, s, cfg)
			if err != nil || name == "TLSConfig" && srv.DidResume != (i == 1) {
				t.Errorf("%s, handshake %d: resumed %v, %v", name, i, srv.DidResume, err)
			}
		}
		cfg.ServerName = "b.example"
		if _, _, err := shake(t, s, cfg); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: a name without a certificate: %v", name, err)
		}
	}
	idle := Env{Where: "port 443/ssl", Hooks: Hooks{Config: func(*tls.Config) {}}}
	if _, err := tryOpen(idle); err == nil || !strings.Contains(err.Error(), "SSL_cert_file is missing") {
		t.Errorf("a hook that gives no certificate: %v", err)
	}
}

// TestCertificatesOfTLSConfig are chosen as crypto/tls does.
func TestCertificatesOfTLSConfig(t *testing.T) {
	ca := newCA(t, "ca")
	own := &tls.Config{Certificates: []tls.Certificate{ca.serverTLS(t, "a.example"), ca.serverTLS(t, "b.example"), ca.serverTLS(t, "*.c.example")}}
	s := open(t, public(own))
	for ask, want := range map[string]string{"a.example": "a.example", "b.example": "b.example", "x.c.example": "*.c.example", "": "a.example", "z.example": "a.example"} {
		cfg := anyClient()
		cfg.ServerName = ask
		_, cli, err := shake(t, s, cfg)
		if err != nil || cli.PeerCertificates[0].Subject.CommonName != want {
			t.Errorf("%q: %v, %v", ask, cli.PeerCertificates, err)
		}
	}
	if st := s.Status(); len(st) != 3 || st[0].Parameter != keyCode {
		t.Errorf("status %v", st)
	}
	strict := open(t, public(own), "SSL_unknown_sni=refuse")
	for ask, want := range map[string]bool{"b.example": true, "z.example": false} {
		cfg := anyClient()
		cfg.ServerName = ask
		if _, _, err := shake(t, strict, cfg); (err == nil) != want {
			t.Errorf("SSL_unknown_sni refuse, %q: %v", ask, err)
		}
	}
}

// TestTLSConfigContradicts: what TLSConfig and parameters cannot both say is an
// error that names both.
func TestTLSConfigContradicts(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	c, key := ca.server(t, "localhost")
	file := writeFile(t, dir, "c.pem", certPEM(c), keyPEM(t, key))
	caFile := "SSL_ca_file=" + writeFile(t, dir, "ca.pem", certPEM(ca.cert))
	certs := []tls.Certificate{ca.serverTLS(t, "localhost")}
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certs[0], nil }
	for _, tc := range []struct {
		own  *tls.Config
		args []string
		want string // the words that must be there
	}{
		{&tls.Config{Certificates: certs}, []string{"SSL_cert_file=" + file}, "SSL_cert_file TLSConfig.Certificates"},
		{&tls.Config{Certificates: certs}, []string{"SSL_cert_file=self-signed"}, "SSL_cert_file TLSConfig.Certificates"},
		{&tls.Config{GetCertificate: get}, []string{"SSL_cert_file[a.example]=" + file}, "SSL_cert_file TLSConfig.GetCertificate"},
		{&tls.Config{GetCertificate: get}, []string{"SSL_cert_dir=" + dir}, "SSL_cert_dir TLSConfig.GetCertificate"},
		{&tls.Config{GetCertificate: get}, []string{"SSL_ocsp_staple=1"}, "SSL_ocsp_staple TLSConfig.GetCertificate"},
		{&tls.Config{Certificates: certs, ClientCAs: ca.pool()}, nil, "TLSConfig.ClientCAs TLSConfig.ClientAuth SSL_verify_mode"},
		{&tls.Config{Certificates: certs, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()}, []string{"SSL_verify_mode=0"}, "SSL_verify_mode ClientAuth RequireAndVerifyClientCert ClientCAs"},
		{&tls.Config{Certificates: certs}, []string{"SSL_allow_cn=ann"}, "SSL_allow_cn SSL_verify_mode TLSConfig.ClientAuth"},
		{&tls.Config{Certificates: certs, ClientAuth: tls.RequestClientCert}, []string{"SSL_verify_mode[a.example]=3", "SSL_verify_mode[b.example]=1", "SSL_allow_cn[c.example]=ann"}, "SSL_allow_cn RequestClientCert"},
		{&tls.Config{Certificates: certs, ClientAuth: tls.RequireAnyClientCert}, []string{caFile}, "SSL_ca_file RequireAnyClientCert"},
		{&tls.Config{Certificates: certs, ClientAuth: tls.RequestClientCert}, []string{"SSL_allow_cn=ann"}, "SSL_allow_cn RequestClientCert"},
		{&tls.Config{Certificates: certs, ClientAuth: 9}, nil, "TLSConfig.ClientAuth"},
		{&tls.Config{Certificates: certs, SessionTicketsDisabled: true}, []string{"SSL_ticket_key_file=" + file}, "SSL_ticket_key_file TLSConfig.SessionTicketsDisabled"},
		{&tls.Config{Certificates: certs, MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12}, nil, "TLSConfig.MinVersion MaxVersion"},
		{&tls.Config{Certificates: certs, MaxVersion: tls.VersionTLS11}, nil, "TLSConfig.MinVersion"},
		{&tls.Config{Certificates: certs, NextProtos: []string{""}}, nil, "TLSConfig.NextProtos"},
		{&tls.Config{Certificates: []tls.Certificate{{}}}, nil, "TLSConfig.Certificates"},
	} {
		_, err := tryOpen(public(tc.own), tc.args...)
		for _, w := range append(strings.Fields(tc.want), "port 443/ssl") {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%v: %v; want %s", tc.args, err, w)
			}
		}
	}
}

// TestClientAuthOfTLSConfig lets each kind of client in, or not, as crypto/tls
// would; parameters go first.
func TestClientAuthOfTLSConfig(t *testing.T) {
	ca := newCA(t, "ca")
	clients := map[string]person{"none": {}, "ours": ca.person(t, "ours", nil), "foreign": newCA(t, "x").person(t, "foreign", nil)}
	for _, tc := range []struct {
		auth tls.ClientAuthType
		args []string
		in   string
	}{
		{tls.NoClientCert, nil, "none ours foreign"},
		{tls.RequestClientCert, nil, "none ours foreign"},
		{tls.RequireAnyClientCert, nil, "ours foreign"},
		{tls.VerifyClientCertIfGiven, nil, "none ours"},
		{tls.RequireAndVerifyClientCert, nil, "ours"},
		{tls.RequireAndVerifyClientCert, []string{"SSL_allow_cn=somebody"}, ""},
		{tls.NoClientCert, []string{"SSL_verify_mode=3"}, "ours"},
		{tls.RequireAndVerifyClientCert, []string{"SSL_verify_mode=1"}, "none ours"},
	} {
		own := &tls.Config{Certificates: []tls.Certificate{ca.serverTLS(t, "localhost")}, ClientAuth: tc.auth}
		if tc.auth != tls.NoClientCert || len(tc.args) > 0 {
			own.ClientCAs = ca.pool()
		}
		s := open(t, public(own), tc.args...)
		for name, p := range clients {
			srv, _, err := shake(t, s, p.config())
			if want := strings.Contains(" "+tc.in+" ", " "+name+" "); (err == nil) != want {
				t.Errorf("%v %v, %s: %v", tc.auth, tc.args, name, err)
			} else if err == nil {
				if v, err := s.Judge(context.Background(), &srv); err != nil {
					t.Errorf("%v %v, %s came in, and then: %v %v", tc.auth, tc.args, name, v, err)
				}
			}
		}
	}
}

// TestClientParametersWithClientAuth: parameters that judge client certificates
// want no SSL_verify_mode where TLSConfig.ClientAuth asks, and at a port that
// takes certificates unverified they may be meant for the names that judge.
func TestClientParametersWithClientAuth(t *testing.T) {
	ca := newCA(t, "ca")
	caFile := writeFile(t, t.TempDir(), "ca.pem", certPEM(ca.cert))
	for _, tc := range []struct {
		auth tls.ClientAuthType
		args []string
	}{
		{tls.VerifyClientCertIfGiven, []string{"SSL_allow_cn=ann", "SSL_ocsp_check=soft", "SSL_check_crl=1", "SSL_crl_policy=open"}},
		{tls.RequireAndVerifyClientCert, []string{"SSL_allow_cn=ann", "SSL_ca_file=" + caFile}},
		{tls.RequireAndVerifyClientCert, []string{"SSL_allow_cn[a.example]=ann", "SSL_verify_mode[b.example]=0"}},
		{tls.RequestClientCert, []string{"SSL_verify_mode[a.example]=3", "SSL_allow_cn=ann", "SSL_ca_file=" + caFile}},
		{tls.RequireAnyClientCert, []string{"SSL_verify_mode[a.example]=1", "SSL_allow_cn=ann", "SSL_cipher_list[b.example]=ALL"}},
		{tls.NoClientCert, []string{"SSL_verify_mode[a.example]=3", "SSL_allow_cn=ann"}},
	} {
		own := &tls.Config{Certificates: []tls.Certificate{ca.serverTLS(t, "localhost")}, ClientAuth: tc.auth}
		if _, err := tryOpen(public(own), tc.args...); err != nil {
			t.Errorf("%v %v: %v", tc.auth, tc.args, err)
		}
	}
}

// TestRevocationWithClientCAs: a client whom an authority of TLSConfig has
// signed is judged by the lists of the parameters, and again when they change.
func TestRevocationWithClientCAs(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	ann, bob := ca.person(t, "ann", nil), ca.person(t, "bob", nil)
	list := writeFile(t, dir, "crl.pem", ca.crl(t, 1, 0, time.Now().Add(time.Hour), bob.cert))
	s := open(t, public(&tls.Config{Certificates: []tls.Certificate{ca.serverTLS(t, "localhost")}, ClientCAs: ca.pool(),
		ClientAuth: tls.RequireAndVerifyClientCert}), "SSL_check_crl=1", "SSL_crl_file="+list)
	cfg := ann.config()
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	srv, _, err := shake(t, s, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := shake(t, s, bob.config()); err == nil {
		t.Error("a revoked client came in")
	}
	changed := s.Changed()
	writeFile(t, dir, "crl.pem", ca.crl(t, 2, 0, time.Now().Add(time.Hour), ann.cert))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody is told of the new list")
	}
	if _, err := s.Judge(context.Background(), &srv); !errors.Is(err, ErrRevoked) {
		t.Errorf("an open client that is revoked: %v", err)
	}
	if again, _, err := shake(t, s, cfg); err == nil {
		t.Errorf("a revoked client came in, resumed: %v", again.DidResume)
	}
	if _, _, err := shake(t, s, newCA(t, "x").person(t, "eve", nil).config()); err == nil {
		t.Error("a stranger came in")
	}
}

// TestVerifyFunctionsOfTLSConfig are asked about each handshake, resumed ones
// too, with the chains that were verified, and their errors deny.
func TestVerifyFunctionsOfTLSConfig(t *testing.T) {
	ca := newCA(t, "ca")
	var peer, conn int
	var deny error
	own := &tls.Config{Certificates: []tls.Certificate{ca.serverTLS(t, "localhost")}, ClientCAs: ca.pool(), ClientAuth: tls.RequireAndVerifyClientCert,
		VerifyPeerCertificate: func(raw [][]byte, chains [][]*x509.Certificate) error {
			if peer++; len(raw) != 1 || len(chains) != 1 || !bytes.Equal(chains[0][1].Raw, ca.cert.Raw) {
				t.Errorf("%d certificates, chains %v", len(raw), chains)
			}
			return nil
		},
		VerifyConnection: func(cs tls.ConnectionState) error {
			if conn++; len(cs.VerifiedChains) != 1 {
				t.Errorf("chains %v", cs.VerifiedChains)
			}
			return deny
		}}
	s := open(t, public(own))
	cfg := ca.person(t, "ann", nil).config()
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 {
		if _, _, err := shake(t, s, cfg); err != nil {
			t.Fatal(err)
		}
	}
	deny = errors.New("not today")
	if _, _, err := shake(t, s, cfg); err == nil {
		t.Error("denied client came in")
	}
	if peer != 3 || conn != 3 {
		t.Errorf("asked %d and %d times about 3 handshakes", peer, conn)
	}
	// Without certificates VerifyConnection alone is asked.
	none := open(t, public(&tls.Config{Certificates: own.Certificates, VerifyConnection: func(cs tls.ConnectionState) error {
		if cs.ServerName == "localhost" {
			return nil
		}
		return deny
	}}))
	if _, _, err := shake(t, none, anyClient()); err != nil {
		t.Error(err)
	}
}

// TestParametersGoFirst: what a parameter says wins over TLSConfig.
func TestParametersGoFirst(t *testing.T) {
	ca := newCA(t, "ca")
	own := &tls.Config{Certificates: []tls.Certificate{ca.serverTLS(t, "localhost")}, MinVersion: tls.VersionTLS13,
		NextProtos: []string{"a", "b"}, CurvePreferences: []tls.CurveID{tls.CurveP384}}
	cfg := anyClient()
	cfg.NextProtos = []string{"b", "a"}
	srv, _, err := shake(t, open(t, public(own)), cfg)
	if err != nil || srv.Version != tls.VersionTLS13 || srv.NegotiatedProtocol != "a" || srv.CurveID != tls.CurveP384 {
		t.Errorf("TLSConfig alone: %x %q %v, %v", srv.Version, srv.NegotiatedProtocol, srv.CurveID, err)
	}
	s := open(t, public(own), "SSL_version=TLSv1_2", "SSL_alpn_protocols=b,a", "SSL_ecdh_curve=P-256", "SSL_cipher_list=ECDHE-ECDSA-AES256-GCM-SHA384")
	srv, _, err = shake(t, s, cfg)
	if err != nil || srv.Version != tls.VersionTLS12 || srv.NegotiatedProtocol != "b" || srv.CurveID != tls.CurveP256 || srv.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
		t.Errorf("with parameters: %x %q %v %x, %v", srv.Version, srv.NegotiatedProtocol, srv.CurveID, srv.CipherSuite, err)
	}
}

// TestGetConfigForClient: a client gets what it returned for it, under the
// rules of the port; what cannot be honoured ends the handshake.
func TestGetConfigForClient(t *testing.T) {
	ca := newCA(t, "ca")
	auth := tls.RequireAndVerifyClientCert
	get := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		c := ca.serverTLS(t, "got."+hello.ServerName)
		return &c, nil
	}
	answers := map[string]*tls.Config{
		"own.example":     {Certificates: []tls.Certificate{ca.serverTLS(t, "own.example")}, ClientAuth: auth, ClientCAs: ca.pool(), NextProtos: []string{"own"}, MaxVersion: tls.VersionTLS12},
		"got.example":     {GetCertificate: get, ClientAuth: auth, ClientCAs: ca.pool()},
		"plain.example":   {ClientAuth: auth, ClientCAs: ca.pool()},
		"lax.example":     {Certificates: []tls.Certificate{ca.serverTLS(t, "lax.example")}},
		"stolen.example":  {ClientAuth: auth, ClientCAs: newCA(t, "x").pool()},
		"tickets.example": {ClientAuth: auth, ClientCAs: ca.pool(), SessionTicketKey: [32]byte{1}},
		"gone.example":    nil,
	}
	own := &tls.Config{Certificates: []tls.Certificate{ca.serverTLS(t, "base.example")}, ClientAuth: auth, ClientCAs: ca.pool()}
	own.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "error.example" {
			return nil, errors.New("no")
		}
		return answers[hello.ServerName], nil
	}
	s := open(t, public(own))
	ann := ca.person(t, "ann", nil)
	for ask, want := range map[string]string{"own.example": "own.example", "got.example": "got.got.example", "plain.example": "base.example",
		"gone.example": "base.example", "lax.example": "", "stolen.example": "", "tickets.example": "", "error.example": ""} {
		cfg := ann.config()
		cfg.ServerName, cfg.NextProtos = ask, []string{"own"}
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for i := range 2 {
			srv, cli, err := shake(t, s, cfg)
			switch {
			case want == "" && err == nil:
				t.Errorf("%s: came in", ask)
			case want != "" && (err != nil || cli.PeerCertificates[0].Subject.CommonName != want || srv.DidResume != (i == 1)):
				t.Errorf("%s: %v, resumed %v, %v", ask, cli.PeerCertificates, srv.DidResume, err)
			case ask == "own.example" && (srv.Version != tls.VersionTLS12 || srv.NegotiatedProtocol != "own"):
				t.Errorf("%s: %x %q", ask, srv.Version, srv.NegotiatedProtocol)
			}
		}
		// Without a certificate nobody comes in, whatever was returned.
		bare := anyClient()
		bare.ServerName = ask
		if _, _, err := shake(t, s, bare); err == nil {
			t.Errorf("%s without a client certificate: came in", ask)
		}
	}
}

// TestGetConfigForClientWithFiles: a function that only looks at clients goes
// with certificates in files; one that brings some does not.
func TestGetConfigForClientWithFiles(t *testing.T) {
	ca := newCA(t, "ca")
	c, key := ca.server(t, "localhost")
	file := writeFile(t, t.TempDir(), "c.pem", certPEM(c), keyPEM(t, key))
	var answer *tls.Config
	var conn net.Conn
	s := open(t, public(&tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		conn = hello.Conn
		return answer, nil
	}}), "SSL_cert_file="+file)
	if _, _, err := shake(t, s, anyClient()); err != nil || conn == nil {
		t.Error(err, conn)
	}
	answer = &tls.Config{NextProtos: []string{"x"}}
	if _, _, err := shake(t, s, anyClient()); err != nil {
		t.Error(err)
	}
	answer = &tls.Config{Certificates: []tls.Certificate{ca.serverTLS(t, "localhost")}}
	if _, _, err := shake(t, s, anyClient()); err == nil {
		t.Error("two say which certificate is served")
	}
}

// BenchmarkGetConfigForClient is what a returned configuration costs.
func BenchmarkGetConfigForClient(b *testing.B) {
	cert := newCA(b, "ca").serverTLS(b, "localhost")
	same := &tls.Config{Certificates: []tls.Certificate{cert}}
	for name, get := range map[string]func(*tls.ClientHelloInfo) (*tls.Config, error){
		"none": nil,
		"same": func(*tls.ClientHelloInfo) (*tls.Config, error) { return same, nil },
		"new":  func(*tls.ClientHelloInfo) (*tls.Config, error) { return same.Clone(), nil },
	} {
		b.Run(name, func(b *testing.B) {
			s, err := Params{}.Open(public(&tls.Config{Certificates: []tls.Certificate{cert}, GetConfigForClient: get}))
			if err != nil {
				b.Fatal(err)
			}
			hello := &tls.ClientHelloInfo{ServerName: "localhost", SupportedVersions: []uint16{tls.VersionTLS13}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Config().GetConfigForClient(hello); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
