//go:build unix

package main_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"netserver/netservertest"
	"netserver/tlsparams"
)

// A paramCase gives a parameter to the command and tells what a client sees.
// Words in capitals are the bed's files,
// and ~ is a blank. A want that begins with ! must not be
// seen; a case without client must be refused with want as the reason.
type paramCase struct {
	key, args, client, want string
}

const (
	comesIn = `You said "hello"`
	none    = "-tls1_3" // a client that needs no further argument
)

var paramCases = []paramCase{
	{"SSL_cert_file", "--SSL_cert_file TWO", none, "CN = two.example.com"},
	{"SSL_cert_file", "--SSL_cert_file ONE --SSL_cert_file two.example.com=TWO", "-servername two.example.com", "subject=CN = two.example.com"},
	{"SSL_cert_file", "--SSL_cert_file ONE --SSL_cert_file two.example.com=TWO", "-servername else.example.com", "subject=CN = one.example.com"},
	{"SSL_cert_file", "--SSL_cert_file *.example.com=TWO", "-servername any.example.com", "subject=CN = two.example.com"},
	{"SSL_cert_file", "--SSL_cert_file *.example.com=TWO", "-noservername", "unrecognized name"},
	{"SSL_cert_file", "--SSL_cert_file self-signed", none, comesIn},
	{"SSL_cert_file", "--SSL_cert_file DIR/none.pem", "", "does not exist"},
	{"SSL_key_file", "--SSL_cert_file ONE --SSL_key_file DIR/one.key", none, comesIn},
	{"SSL_key_file", "--SSL_cert_file ONE --SSL_key_file TWO", "", "does not match"},
	{"SSL_cert_dir", "--SSL_cert_dir DIR/certs", "-servername two.example.com", "subject=CN = two.example.com"},
	{"SSL_cert_dir", "--SSL_cert_dir DIR/none", "", "SSL_cert_dir"},
	{"SSL_passwd_file", "--SSL_cert_file ONE --SSL_key_file DIR/one.enc --SSL_passwd_file DIR/password", none, comesIn},
	{"SSL_key_file", "--SSL_cert_file ONE --SSL_key_file DIR/one.enc --SSL_passwd_file DIR/wrong", "", "the password is wrong"},
	{"SSL_passwd_command", "--SSL_cert_file ONE --SSL_key_file DIR/one.enc --SSL_passwd_command=cat~DIR/password", none, comesIn},
	{"SSL_passwd_command", "--SSL_cert_file ONE --SSL_key_file DIR/one.enc --SSL_passwd_command false", "", "SSL_passwd_command"},
	{"SSL_version", "--SSL_version TLSv1_2", "-tls1_3", "!" + comesIn},
	{"SSL_version", "--SSL_version TLSv1_2", "-tls1_2", comesIn},
	{"SSL_version", "--SSL_version SSLv23:!TLSv1:!TLSv1_1:!TLSv1_2", "-tls1_2", "!" + comesIn},
	{"SSL_version", "--SSL_version TLSv1", "-tls1 -cipher ALL:@SECLEVEL=0", "Protocol  : TLSv1\n"},
	{"SSL_version", "--SSL_version SSLv3", "", "SSLv3"},
	{"SSL_cipher_list", "--SSL_cipher_list ECDHE-ECDSA-CHACHA20-POLY1305", "-tls1_2", "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305"},
	{"SSL_cipher_list", "--SSL_cipher_list one.example.com=ECDHE-ECDSA-CHACHA20-POLY1305", "-tls1_2 -servername one.example.com", "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305"},
	{"SSL_cipher_list", "--SSL_cipher_list DHE-RSA-AES256-SHA", "", "SSL_cipher_list"},
	{"SSL_ciphersuites", "--SSL_ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256", "-ciphersuites TLS_CHACHA20_POLY1305_SHA256", comesIn},
	{"SSL_ciphersuites", "--SSL_ciphersuites TLS_AES_128_GCM_SHA256", "", "SSL_ciphersuites"},
	{"SSL_ecdh_curve", "--SSL_ecdh_curve P-384", none, "Server Temp Key: ECDH, secp384r1"},
	{"SSL_ecdh_curve", "--SSL_ecdh_curve P-999", "", "P-999"},
	{"SSL_honor_cipher_order", "--SSL_cipher_list ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"},
	{"SSL_honor_cipher_order", "--SSL_cipher_list ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384 --SSL_honor_cipher_order 0", "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"},
	{"SSL_alpn_protocols", "--SSL_alpn_protocols x --SSL_alpn_protocols y", "-alpn y,x", "ALPN protocol: y"},
	{"SSL_alpn_protocols", "--SSL_alpn_protocols x,y", "-alpn z", "no application protocol"},
	{"SSL_alpn_protocols", "--SSL_alpn_protocols x,y", none, comesIn},
	{"SSL_unexpected_eof", "--SSL_unexpected_eof reset", none, comesIn}, // what it does is seen in package daemon
	{"SSL_unexpected_eof", "--SSL_unexpected_eof maybe", "", "SSL_unexpected_eof"},
	{"SSL_unknown_sni", "--SSL_unknown_sni refuse", "-servername else.example.com", "unrecognized name"},
	{"SSL_unknown_sni", "--SSL_unknown_sni refuse", "-noservername", comesIn},
	{"SSL_unknown_sni", "--SSL_unknown_sni default", "-servername else.example.com", comesIn},
	{"SSL_unknown_sni", "--SSL_unknown_sni maybe", "", "must be default"},
	{"SSL_verify_mode", "--SSL_verify_mode 3 --SSL_ca_file CA", none, "!" + comesIn},
	{"SSL_verify_mode", "--SSL_verify_mode 3 --SSL_ca_file CA", "-cert BOB", "!" + comesIn},
	{"SSL_verify_mode", "--SSL_verify_mode 3 --SSL_ca_file CA", "-cert ANN", comesIn},
	{"SSL_verify_mode", "--SSL_verify_mode 3 --SSL_ca_file CA", "-tls1_2 -cert BOB", "!" + comesIn},
	{"SSL_verify_mode", "--SSL_verify_mode 1 --SSL_ca_file CA", none, comesIn},
	{"SSL_verify_mode", "--SSL_verify_mode 1 --SSL_ca_file CA", "-cert BOB", "!" + comesIn},
	{"SSL_verify_mode", "--SSL_verify_mode one.example.com=3 --SSL_ca_file CA", "-servername one.example.com", "!" + comesIn},
	{"SSL_verify_mode", "--SSL_verify_mode one.example.com=3 --SSL_ca_file CA", "-servername two.example.com", comesIn},
	{"SSL_verify_mode", "--SSL_verify_mode SSL_VERIFY_PEER", "", "must be a number"},
	{"SSL_ca_file", "--SSL_verify_mode 3 --SSL_ca_file CA", none, "Acceptable client certificate CA names\nCN = client CA"},
	{"SSL_ca_file", "--SSL_verify_mode 3 --SSL_ca_file DIR/none", "", "does not exist"},
	{"SSL_ca_path", "--SSL_verify_mode 3 --SSL_ca_path DIR/cas", "-cert ANN", comesIn},
	{"SSL_ca_path", "--SSL_verify_mode 3 --SSL_ca_path DIR/cas", "-cert BOB", "!" + comesIn},
	{"SSL_client_ca_file", "--SSL_verify_mode 1 --SSL_ca_file CA --SSL_client_ca_file DIR/other.pem", none, "Acceptable client certificate CA names\nCN = netservertest"},
	{"SSL_fingerprint", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_fingerprint sha256$@bobprint", "-cert BOB", comesIn},
	{"SSL_fingerprint", "--SSL_verify_mode 3 --SSL_fingerprint 12", "", "SSL_fingerprint"},
	{"SSL_force_fingerprint", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_fingerprint sha256$@bobprint --SSL_force_fingerprint 1", "-cert ANN", "!" + comesIn},
	{"SSL_check_crl", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_check_crl 1 --SSL_crl_file DIR/empty.crl", "-cert ANN", comesIn},
	{"SSL_check_crl", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_check_crl 1", "-cert ANN", "!" + comesIn},
	{"SSL_crl_file", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_check_crl 1 --SSL_crl_file DIR/ann.crl", "-cert ANN", "!" + comesIn},
	{"SSL_crl_file", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_crl_file DIR/ann.crl", "", "without SSL_check_crl"},
	{"SSL_crl_path", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_check_crl 1 --SSL_crl_path DIR/crls", "-cert ANN", "!" + comesIn},
	{"SSL_crl_policy", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_check_crl 1 --SSL_crl_policy open", "-cert ANN", comesIn},
	{"SSL_crl_policy", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_check_crl 1 --SSL_crl_policy lax", "", "must be closed"},
	{"SSL_ocsp_check", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_ocsp_check hard --SSL_ocsp_responder @responder", "-cert ANN", "!" + comesIn},
	{"SSL_ocsp_responder", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_ocsp_check soft --SSL_ocsp_responder http://127.0.0.1:9/", "-cert ANN", comesIn},
	{"SSL_ocsp_responder", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_ocsp_check hard --SSL_ocsp_responder ftp://x", "", "no http"},
	{"SSL_allow_cn", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_cn ann", "-cert ANN", comesIn},
	{"SSL_allow_cn", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_cn bob", "-cert ANN", "!" + comesIn},
	{"SSL_allow_ou", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_ou=Unit~of~ann", "-cert ANN", comesIn},
	{"SSL_allow_ou", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_ou ann", "-cert ANN", "!" + comesIn},
	{"SSL_allow_dns", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_dns *.example.org", "-cert ANN", comesIn},
	{"SSL_allow_dns", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_dns example.org", "-cert ANN", "!" + comesIn},
	{"SSL_allow_email", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_email @example.org", "-cert ANN", comesIn},
	{"SSL_allow_email", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_email bob@example.org", "-cert ANN", "!" + comesIn},
	{"SSL_allow_ip", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_ip 192.0.2.0/24", "-cert ANN", comesIn},
	{"SSL_allow_ip", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_ip 127.0.0.1", "-cert ANN", "!" + comesIn},
	{"SSL_allow_uri", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_uri spiffe://example.org/sa/*", "-cert ANN", comesIn},
	{"SSL_allow_uri", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_uri spiffe://example.org/*", "-cert ANN", "!" + comesIn},
	{"SSL_allow_spki", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_spki sha256/@annspki", "-cert ANN", comesIn},
	{"SSL_allow_spki", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_spki sha256$pub$@bobprint", "-cert ANN", "!" + comesIn},
	{"SSL_allow_file", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_file DIR/allow", "-cert ANN", comesIn},
	{"SSL_allow_file", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_file two.example.com=DIR/allow --SSL_allow_cn bob", "-cert ANN -servername one.example.com", "!" + comesIn},
	{"SSL_allow_file", "--SSL_verify_mode 3 --SSL_ca_file CA --SSL_allow_file DIR/password", "", "where cn, ou, dns"},
	{"SSL_ticket_life", "--SSL_ticket_life 0", "-tls1_2", "!session ticket:"},
	{"SSL_ticket_life", "--SSL_ticket_life 90m", "-tls1_2", "session ticket:"},
	{"SSL_ticket_life", "--SSL_ticket_life 30d", "", "SSL_ticket_life"},
	{"SSL_ocsp_staple_file", "--SSL_cert_file ONE --SSL_ocsp_staple_file DIR/staple", "-status", "OCSP Response Status: successful"},
	{"SSL_ocsp_staple_file", "--SSL_cert_file TWO --SSL_ocsp_staple_file DIR/staple", "", "SSL_ocsp_staple_file"},
	{"SSL_max_getline_length", "--SSL_max_getline_length 3", none, "!" + comesIn},
	{"SSL_max_getline_length", "--SSL_max_getline_length 0", "", "above 0"},
	{"SSL_use_cert", "--SSL_use_cert 1", none, comesIn},
	{"SSL_use_cert", "--SSL_use_cert 0", "", "always shows its certificate"},
	{"SSL_server", "--SSL_server 1", none, comesIn},
	{"SSL_server", "--SSL_server 0", "", "always the server"},
	{"SSL_mode_release_buffers", "--SSL_mode_release_buffers 1", none, comesIn},
	{"SSL_mode_release_buffers", "--SSL_mode_release_buffers 0", "", "never hold buffers"},
}

// paramsElsewhere are the keys whose effect takes more than one client to see.
var paramsElsewhere = map[string]string{
	"SSL_ocsp_staple":        "TestStapleIsFetched",
	"SSL_session_id_context": "TestTicketsAcrossServers",
	"SSL_ticket_key_file":    "TestTicketsAcrossServers",
	"SSL_startHandshake":     "TestStartHandshake",
}

// TestEveryParameter has openssl see what each parameter does, and the command
// refuse what cannot be done.
func TestEveryParameter(t *testing.T) {
	b := newTLSBed(t)
	b.fill(t)
	responder := httptest.NewServer(answerOCSP(t, b.ca, ocsp.Revoked))
	defer responder.Close()
	spki := sha256.Sum256(b.ann.cert.RawSubjectPublicKeyInfo)
	r := strings.NewReplacer("@bobprint", fingerprint(b.bob), "@annspki", base64.StdEncoding.EncodeToString(spki[:]), "@responder", responder.URL)
	seen := map[string]bool{}
	for _, c := range paramCases {
		seen[c.key] = true
		t.Run(c.args+" "+c.client, func(t *testing.T) {
			args := b.args(c.args)
			for i := range args { // after b.args, whose words may stand in base64
				args[i] = strings.ReplaceAll(r.Replace(args[i]), "~", " ")
			}
			if c.client == "" {
				text, status := refusal(t, append([]string{"--host", "127.0.0.1", "--port", "0/ssl", "--SSL_cert_file", b.one.file}, args...)...)
				if status != 2 || !strings.Contains(text, c.want) || !strings.Contains(text, c.key) {
					t.Errorf("status %d, %q; want %q about %s", status, text, c.want, c.key)
				}
				return
			}
			s := b.start(t, args...)
			out := sclient(t, s.addr(0), b.args(c.client)...)
			want, absent := strings.CutPrefix(c.want, "!")
			if strings.Contains(out, want) == absent {
				t.Errorf("want %q:\n%s", c.want, out)
			}
			s.stop()
		})
	}
	for _, k := range tlsparams.Keys() {
		if !seen[k.Name] && paramsElsewhere[k.Name] == "" {
			t.Errorf("no case for %s", k.Name)
		}
	}
	for name := range tlsparams.Refused() {
		text, status := refusal(t, "--host", "127.0.0.1", "--port", "0/ssl", "--"+name, "1")
		if status != 2 || !strings.Contains(text, name) {
			t.Errorf("%s: status %d, %q", name, status, text)
		}
	}
}

// fill makes the files that the cases name.
func (b *tlsBed) fill(t *testing.T) {
	t.Helper()
	for _, d := range []string{"certs", "cas", "crls"} {
		mkdir(t, b.path(d))
	}
	write(t, b.path("one.key"), keyPEM(t, b.one.key))
	write(t, b.path("allow"), "cn ann\n")
	write(t, b.path("password"), "sesame\n")
	write(t, b.path("wrong"), "simsalabim\n")
	openssl(t, "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", b.path("one.key"), "-out", b.path("one.enc"), "-passout", "pass:sesame")
	write(t, b.path("certs/one.pem"), pemOf(b.one.cert.Raw)+keyPEM(t, b.one.key))
	write(t, b.path("certs/two.pem"), pemOf(b.two.cert.Raw)+keyPEM(t, b.two.key))
	write(t, b.path("cas/ca.pem"), pemOf(b.ca.Cert.Raw))
	write(t, b.path("other.pem"), pemOf(netservertest.CA(t).Cert.Raw))
	write(t, b.path("empty.crl"), crl(t, b.ca, 1))
	write(t, b.path("ann.crl"), crl(t, b.ca, 2, b.ann))
	write(t, b.path("crls/ann.crl"), crl(t, b.ca, 2, b.ann))
	write(t, b.path("staple"), string(ocspAnswer(t, netservertest.CA(t), ocsp.Response{Status: ocsp.Good, SerialNumber: b.one.cert.SerialNumber})))
}

func openssl(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(netservertest.Peer(t, "openssl"), args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
}

// ocspAnswer signs r, valid for an hour.
func ocspAnswer(t testing.TB, a *netservertest.Authority, r ocsp.Response) []byte {
	t.Helper()
	now := time.Now()
	r.ThisUpdate, r.NextUpdate, r.RevokedAt = now.Add(-time.Minute), now.Add(time.Hour), now.Add(-time.Minute)
	der, err := ocsp.CreateResponse(a.Cert, a.Cert, r, a.Key)
	if err != nil {
		t.Error(err)
	}
	return der
}

// answerOCSP says the same of every certificate.
func answerOCSP(t testing.TB, a *netservertest.Authority, status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		q, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Write(ocspAnswer(t, a, ocsp.Response{Status: status, SerialNumber: q.SerialNumber}))
	})
}

// gnutls-cli sees the same as openssl.
func TestParametersSeenByGnuTLS(t *testing.T) {
	b := newTLSBed(t)
	gnutls := netservertest.Peer(t, "gnutls-cli")
	for _, c := range []struct{ args, client, want string }{
		{"--SSL_version TLSv1_2", "--priority NORMAL:-VERS-ALL:+VERS-TLS1.3", "!Welcome"},
		{"--SSL_version TLSv1_2", "", "TLS1.2"},
		{"--SSL_ecdh_curve P-384", "", "ECDHE-SECP384R1"},
		{"--SSL_alpn_protocols x,y", "--alpn y --alpn x", "Application protocol: y"},
		{"--SSL_verify_mode 3 --SSL_ca_file CA", "", "!Welcome"},
		{"--SSL_verify_mode 3 --SSL_ca_file CA", "--x509certfile ANN --x509keyfile ANN", "Welcome"},
		{"--SSL_cert_file ONE --SSL_cert_file two.example.com=TWO", "--sni-hostname two.example.com", "CN=two.example.com"},
	} {
		s := b.start(t, b.args(c.args)...)
		args := slices.Concat([]string{"--insecure", "-p", s.port(0)}, b.args(c.client), []string{"127.0.0.1"})
		cmd := exec.CommandContext(t.Context(), gnutls, args...)
		cmd.Stdin = strings.NewReader("quit\n")
		out, _ := cmd.CombinedOutput()
		want, absent := strings.CutPrefix(c.want, "!")
		if strings.Contains(string(out), want) == absent {
			t.Errorf("%s, gnutls-cli %s: want %q\n%s", c.args, c.client, c.want, out)
		}
		s.stop()
	}
}
