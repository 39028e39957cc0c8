package tlsparams

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"netserver/conf"
	"netserver/tlsparams/internal/cipherlist"
	"netserver/tlsparams/internal/protocol"
)

// open makes a Source from texts: "key=value" or "key[name]=value".
func open(t testing.TB, env Env, args ...string) *Source {
	t.Helper()
	s, err := tryOpen(env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tryOpen(env Env, args ...string) (*Source, error) {
	p, err := Params{}.With(values(args...))
	if err != nil {
		return nil, err
	}
	return p.Open(env)
}

func values(args ...string) conf.Values {
	v := conf.Values{}
	for i, a := range args {
		key, text, _ := strings.Cut(a, "=")
		name := ""
		if k, n, ok := strings.Cut(key, "["); ok {
			key, name = k, strings.TrimSuffix(n, "]")
		}
		v[key] = append(v[key], conf.Value{Name: name, Text: text, Origin: conf.Origin{Source: conf.SourceArgs, Line: i + 1}})
	}
	return v
}

var loopback = Env{Loopback: true, Where: "port 443/ssl"}

// TestRefusedValues has a wrong value for each parameter, and a part of the
// one line that says so.
func TestRefusedValues(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	caFile := writeFile(t, dir, "ca.pem", certPEM(ca.cert))
	pairCert, pairKey := ca.server(t, "a.b")
	pairFile := writeFile(t, dir, "pair.pem", certPEM(pairCert), keyPEM(t, pairKey))
	garbage := writeFile(t, dir, "garbage", []byte("hello\n"))
	for _, c := range []struct{ args, want string }{
		{"SSL_version=TLSv1_9", "names no TLS version"},
		{"SSL_cipher_list=NOSUCH", "selects no cipher suite"},
		{"SSL_cipher_list=ALL:@BAD", "unknown command"},
		{"SSL_ciphersuites=TLS_AES_128_GCM_SHA256", "leaves out TLS_AES_256_GCM_SHA384"},
		{"SSL_ecdh_curve=X448", "not possible with Go's crypto/tls; use X25519"},
		{"SSL_ecdh_curve=P-256:415", "names no group"},
		{"SSL_ecdh_curve=X25519:auto", "names no group"},
		{"SSL_honor_cipher_order=maybe", "neither 1 nor 0"},
		{"SSL_alpn_protocols=a,a", "twice"},
		{"SSL_verify_mode=SSL_VERIFY_PEER", "must be a number"},
		{"SSL_verify_mode=8", "must be a number"},
		{"SSL_verify_mode=2", "write 3 to require one"},
		{"SSL_verify_mode=4", "write 3 to require one"},
		{"SSL_ca_file=" + caFile, "SSL_verify_mode is 0"},
		{"SSL_ca_path=" + dir, "SSL_verify_mode is 0"},
		{"SSL_client_ca_file=" + caFile, "SSL_verify_mode is 0"},
		{"SSL_crl_policy=open", "SSL_verify_mode is 0"},
		{"SSL_ocsp_responder=http://x", "SSL_verify_mode is 0"},
		{"SSL_verify_mode=1 SSL_ca_file=" + caFile + " SSL_verify_mode[a.b]=0 SSL_allow_cn[a.b]=me", "SSL_allow_cn is given, but SSL_verify_mode is 0"},
		{"SSL_unknown_sni=no", "must be default"},
		{"SSL_unknown_sni=default SSL_cert_file[a.b]=" + pairFile, "there is none; give an SSL_cert_file without a name"},
		{"SSL_verify_mode[*]=1", "a star can only stand"},
		{"SSL_fingerprint=abc", "no fingerprint"},
		{"SSL_verify_mode=1 SSL_force_fingerprint=1", "without SSL_fingerprint"},
		{"SSL_verify_mode=1 SSL_ca_file=" + dir + "/none", "SSL_ca_file " + dir + "/none does not exist"},
		{"SSL_verify_mode=1 SSL_ca_file=" + garbage, "holds no certificate in PEM or DER form"},
		{"SSL_verify_mode=1 SSL_ca_path=" + dir + "/none", "does not exist"},
		{"SSL_verify_mode=1 SSL_client_ca_file=" + garbage, "SSL_client_ca_file " + garbage},
		{"SSL_verify_mode=1 SSL_crl_file=" + caFile, "without SSL_check_crl"},
		{"SSL_verify_mode=1 SSL_check_crl=1 SSL_crl_file=" + caFile, "holds no revocation list"},
		{"SSL_verify_mode=1 SSL_check_crl=1 SSL_crl_file=" + garbage, "holds no revocation list, or one that cannot be used"},
		{"SSL_check_crl=maybe", "must be 0, 1"},
		{"SSL_crl_policy=lax", "must be closed"},
		{"SSL_ocsp_check=yes", "must be off, soft"},
		{"SSL_verify_mode=1 SSL_ocsp_check=hard SSL_ocsp_responder=ftp://x", "no http or https address"},
		{"SSL_allow_cn=me", "SSL_verify_mode is 0"},
		{"SSL_check_crl=1", "SSL_verify_mode is 0"},
		{"SSL_allow_dns=a.*.b", "a star can only stand"},
		{"SSL_allow_email=me", "user@example.com"},
		{"SSL_allow_ip=10.0.0.1/8", "has bits set behind the first 8: write 10.0.0.1 or 10.0.0.0/8"},
		{"SSL_allow_uri=spiffe://*/x", "trust domain"},
		{"SSL_allow_spki=zz", "no pin of a public key"},
		{"SSL_ticket_life=8d", "is not a time"},
		{"SSL_ticket_life=900h", "is not a time"},
		{"SSL_ticket_key_file=" + garbage, "holds no ticket key in line 1"},
		{"SSL_use_cert=0", "always shows its certificate"},
		{"SSL_server=0", "always the server"},
		{"SSL_max_getline_length=0", "bytes above 0"},
		{"SSL_cert_file[a%ecc]=x", "a further key type for"},
		{"SSL_version[a]=TLSv1_3", "takes no names"},
		{"SSL_key_file[a]=x", "has no SSL_cert_file"},
		{"SSL_cert_dir=" + dir + "/none", "SSL_cert_dir " + dir + "/none does not exist"},
		{"SSL_dh_file=x", "no finite-field DH"},
		{"SSL_passwd=x", "SSL_passwd_file"},
	} {
		_, err := tryOpen(loopback, strings.Fields(c.args)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "SSL_") {
			t.Errorf("%s:\n got %v\nwant %s", c.args, err, c.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than a line: %v", c.args, err)
		}
	}
}

// TestEveryKeyIsKnown holds the list of the original's parameters: each is
// taken or refused with a reason.
func TestEveryKeyIsKnown(t *testing.T) {
	const original = `SSL_cert_file SSL_cert SSL_key_file SSL_key SSL_passwd_cb SSL_use_cert SSL_version SSL_cipher_list
		SSL_ciphersuites SSL_honor_cipher_order SSL_dh_file SSL_dh SSL_ecdh_curve SSL_verify_mode SSL_verify_callback SSL_ca
		SSL_ca_file SSL_ca_path SSL_client_ca SSL_client_ca_file SSL_fingerprint SSL_force_fingerprint SSL_check_crl
		SSL_crl_file SSL_alpn_protocols SSL_npn_protocols SSL_ticket_keycb SSL_session_id_context SSL_session_cache
		SSL_session_cache_size SSL_session_key SSL_psk SSL_reuse_ctx SSL_create_ctx_callback SSL_error_trap
		SSL_on_peer_shutdown SSL_keepSocketOnError SSL_mode_release_buffers SSL_usebio SSL_startHandshake SSL_server
		SSL_hostname SSL_verifycn_scheme SSL_verifycn_name SSL_verifycn_publicsuffix SSL_ocsp_mode SSL_ocsp_cache
		SSL_ocsp_staple_callback SSL_max_getline_length SSL_error_callback`
	table := keyTable()
	for _, k := range strings.Fields(original) {
		if _, ok := table[k]; !ok {
			t.Errorf("%s is neither taken nor refused", k)
		}
	}
}

func TestNamesChooseCertificates(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	file := func(names ...string) string {
		c, k := ca.server(t, names...)
		return writeFile(t, dir, strings.ReplaceAll(names[0], "*", "_")+".pem", certPEM(c), keyPEM(t, k))
	}
	rsaKey := testRSA(t, 2048)
	rsaLeaf := ca.sign(t, &x509.Certificate{DNSNames: []string{"two.example"}}, rsaKey)
	rsaFile := writeFile(t, dir, "two-rsa.pem", certPEM(rsaLeaf), keyPEM(t, rsaKey))
	args := []string{"SSL_cert_file[a.example]=" + file("a.example"), "SSL_cert_file[*.wild.example]=" + file("*.wild.example"),
		"SSL_cert_file[two.example]=" + rsaFile, "SSL_cert_file[two.example%ecc]=" + file("two.example")}
	s := open(t, Env{}, args...)
	name := func(s *Source, sni string, suites ...uint16) string {
		c := &tls.Config{InsecureSkipVerify: true, ServerName: sni, CipherSuites: suites}
		if suites != nil {
			c.MaxVersion = tls.VersionTLS12
		}
		_, cli, err := shake(t, s, c)
		if err != nil {
			return err.Error()
		}
		return cli.PeerCertificates[0].DNSNames[0] + " " + cli.PeerCertificates[0].PublicKeyAlgorithm.String()
	}
	for sni, want := range map[string]string{"a.example": "a.example ECDSA", "A.EXAMPLE": "a.example ECDSA", "x.wild.example": "*.wild.example ECDSA",
		"two.example": "two.example ECDSA", "other": "unrecognized name", "": "unrecognized name", "y.x.wild.example": "unrecognized name"} {
		if got := name(s, sni); !strings.Contains(got, want) {
			t.Errorf("%q: %s, want %s", sni, got, want)
		}
	}
	if got := name(s, "two.example", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256); got != "two.example RSA" {
		t.Errorf("a client without ECDSA suites gets %s", got)
	}
	s = open(t, Env{}, append(args, "SSL_cert_file="+file("default.example"))...)
	for _, sni := range []string{"", "other"} {
		if got := name(s, sni); got != "default.example ECDSA" {
			t.Errorf("%q with a default: %s", sni, got)
		}
	}
	if len(s.Warnings()) != 0 {
		t.Error(s.Warnings())
	}
}

func TestServerOrderOfSuites(t *testing.T) {
	const list = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256"
	offer := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA}
	for _, c := range []struct {
		args []string
		max  uint16
		want string
	}{
		{[]string{"SSL_cipher_list=" + list}, tls.VersionTLS12, "ECDHE-ECDSA-AES256-SHA"},
		{[]string{"SSL_cipher_list=" + list, "SSL_honor_cipher_order=0"}, tls.VersionTLS12, "ECDHE-ECDSA-AES256-GCM-SHA384"},
		{[]string{"SSL_cipher_list[localhost]=ECDHE-ECDSA-AES256-SHA"}, tls.VersionTLS12, "ECDHE-ECDSA-AES256-SHA"},
		{[]string{"SSL_cipher_list=ECDHE-ECDSA-AES256-SHA"}, tls.VersionTLS13, "TLS_"},
		{[]string{"SSL_cipher_list=ECDHE-ECDSA-CHACHA20-POLY1305"}, tls.VersionTLS12, "handshake failure"},
	} {
		s := open(t, loopback, c.args...)
		cfg := anyClient()
		cfg.CipherSuites, cfg.MaxVersion = offer, c.max
		_, cli, err := shake(t, s, cfg)
		got := cipherlist.Name(cli.CipherSuite)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%v: %s, want %s", c.args, got, c.want)
		}
	}
}

// TestVariantsAreBounded has clients bring about more choices than are kept.
func TestVariantsAreBounded(t *testing.T) {
	var args []string
	for i := range maxVariants + 100 {
		args = append(args, fmt.Sprintf("SSL_cipher_list[n%d.example]=ALL", i))
	}
	s := open(t, loopback, args...)
	for i := range maxVariants + 100 {
		c, err := s.Config().GetConfigForClient(&tls.ClientHelloInfo{ServerName: fmt.Sprintf("n%d.example", i), SupportedVersions: []uint16{tls.VersionTLS13}})
		if err != nil || c == nil || c.CipherSuites == nil {
			t.Fatal(i, c, err)
		}
	}
	if n := len(*s.cur.Load().variants.Load()); n != maxVariants {
		t.Errorf("%d are kept", n)
	}
}

func TestGroups(t *testing.T) {
	for curves, want := range map[string]tls.CurveID{"auto": tls.X25519MLKEM768, "P-384": tls.CurveP384, "prime256v1": tls.CurveP256,
		"X25519MLKEM768": tls.X25519MLKEM768, "SecP384r1MLKEM1024:X25519": tls.X25519, "P-521": tls.CurveP521} {
		s := open(t, loopback, "SSL_ecdh_curve="+curves)
		cfg := anyClient()
		cfg.CurvePreferences = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
		if srv, _, err := shake(t, s, cfg); err != nil || srv.CurveID != want {
			t.Errorf("%s: %v, %v; want %v", curves, srv.CurveID, err, want)
		}
	}
	if s := open(t, loopback, "SSL_ecdh_curve=X25519MLKEM768"); len(s.Warnings()) != 1 {
		t.Error("no warning that TLS 1.2 is left without a group:", s.Warnings())
	}
}

func FuzzCurves(f *testing.F) {
	for _, s := range []string{"auto", "X25519:P-256", "", ":", "X448"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ids, reason := protocol.ParseCurves(s); reason != "" && ids != nil {
			t.Fatal(s)
		}
	})
}
