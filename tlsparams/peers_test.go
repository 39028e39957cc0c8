package tlsparams

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"netserver/conf"
)

// greet serves s on loopback until the test ends: HELLO to each client.
func greet(t testing.TB, s *Source) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(time.Minute))
			tc := tls.Server(c, s.Config())
			tc.Write([]byte("HELLO\n"))
			tc.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

// perlServer starts the original with the same parameters. It returns "" if
// the original refuses them.
func perlServer(t testing.TB, args map[string]any) string {
	t.Helper()
	data, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(peer(t, "perl"), "testdata/server.pl", string(data))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return "" // it died
	}
	if line = strings.TrimSpace(line); line == "refused" {
		return ""
	}
	return "127.0.0.1:" + line
}

// dial runs openssl s_client and returns its output.
func dial(t testing.TB, addr string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	all := append([]string{"s_client", "-connect", addr, "-ign_eof"}, args...)
	out, _ := exec.CommandContext(ctx, peer(t, "openssl"), all...).CombinedOutput()
	return string(out)
}

var seen = map[string]*regexp.Regexp{
	"version":  regexp.MustCompile(`(?m)^(?:New|Reused), (TLSv[0-9.]+),|^    Protocol  : (TLSv[0-9.]+)`),
	"cipher":   regexp.MustCompile(`Cipher is (\S+)`),
	"alpn":     regexp.MustCompile(`ALPN protocol: (\S+)`),
	"subject":  regexp.MustCompile(`(?m)^subject=(.*)$`),
	"anySuite": regexp.MustCompile(`cipher=\S+ `),
	"group":    regexp.MustCompile(`Server Temp Key: ([^,\n]+)`),
}

// outcome sums up what a client saw. The suite of TLS 1.3 is left out:
// crypto/tls chooses it by itself.
func outcome(out string) string {
	if !strings.Contains(out, "HELLO") {
		return "refused"
	}
	var parts []string
	for _, k := range []string{"version", "cipher", "alpn", "subject", "group"} {
		for _, m := range seen[k].FindStringSubmatch(out) {
			if m == "" || strings.HasPrefix(m, "New") || strings.HasPrefix(m, "Reused") || strings.Contains(m, ":") || strings.Contains(m, " is ") || strings.HasPrefix(m, "subject=") || strings.HasPrefix(m, "TLS_") {
				continue
			}
			parts = append(parts, k+"="+strings.ReplaceAll(m, " ", ""))
			break
		}
	}
	return strings.Join(parts, " ")
}

// TestLikeTheOriginal gives the same parameters to IO::Socket::SSL and to a
// Source and lets the same clients come; they have to see the same.
func TestLikeTheOriginal(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two dozen servers")
	}
	peer(t, "openssl")
	if exec.Command(peer(t, "perl"), "-MIO::Socket::SSL", "-e1").Run() != nil {
		peer(t, "perl module IO::Socket::SSL")
	}
	dir := t.TempDir()
	ca := newCA(t, "ca")
	file := func(name string) string {
		c, k := ca.server(t, name)
		return writeFile(t, dir, name+".pem", certPEM(c), keyPEM(t, k))
	}
	one, two := file("one.example"), file("two.example")
	rsaKey := testRSA(t, 2048)
	rsa := writeFile(t, dir, "rsa.pem", certPEM(ca.sign(t, &x509.Certificate{DNSNames: []string{"one.example"}, Subject: newCA(t, "rsa").cert.Subject}, rsaKey)), keyPEM(t, rsaKey))
	ann, bob := ca.person(t, "ann", nil), newCA(t, "strangers").person(t, "bob", nil)
	who := func(name string, p person) string {
		return writeFile(t, dir, name+".pem", certPEM(p.cert), keyPEM(t, newKeyOf(p)))
	}
	annArgs := []string{"-cert", who("ann", ann), "-key", filepath.Join(dir, "ann.pem")}
	bobArgs := []string{"-cert", who("bob", bob), "-key", filepath.Join(dir, "bob.pem")}
	caFile := writeFile(t, dir, "ca.pem", certPEM(ca.cert))
	crl := writeFile(t, dir, "crl.pem", ca.crl(t, 1, 0, time.Now().Add(time.Hour), ann.cert))
	versions := [][]string{{"-tls1_2"}, {"-tls1_3"}, {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, {}}
	suites := [][]string{{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"}, {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"}, {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA"}}
	certs := [][]string{{}, annArgs, bobArgs, append([]string{"-tls1_2"}, annArgs...), append([]string{"-tls1_2"}, bobArgs...), {"-tls1_2"}}
	// The original keeps "a chain has failed" from client to client: after bob's,
	// it refuses everyone who matches no pin.
	annFirst := [][]string{annArgs, append([]string{"-tls1_2"}, annArgs...), bobArgs, append([]string{"-tls1_2"}, bobArgs...)}
	alpn := [][]string{{"-alpn", "bb,aa"}, {"-alpn", "zz,aa"}, {}} // where there is none in common it goes on without
	names := [][]string{{"-servername", "one.example"}, {"-servername", "TWO.example"}, {"-servername", "three.example"}, {"-noservername"}}
	groups := [][]string{{"-groups", "P-256:X25519"}, {"-groups", "P-384"}, {"-groups", "P-521"}, {"-tls1_2", "-groups", "P-256"}}
	compared := 0
	for _, c := range []struct {
		args    map[string]any
		clients [][]string
	}{
		{map[string]any{"SSL_version": "TLSv1_2"}, versions},
		{map[string]any{"SSL_version": "TLSv1_3"}, versions},
		{map[string]any{"SSL_version": "SSLv23:!SSLv3:!SSLv2:!TLSv1:!TLSv1_1"}, versions},
		{map[string]any{"SSL_version": "SSLv23:!TLSv1_3:!TLSv1:!TLSv1_1"}, versions},
		{map[string]any{"SSL_version": "!TLSv1:!TLSv1_1:!TLSv1_2"}, versions},
		{map[string]any{"SSL_version": "TLSv1_2:TLSv1_3"}, nil},
		{map[string]any{"SSL_version": "TLSv1_9"}, nil},
		{map[string]any{"SSL_cipher_list": "ECDHE+AESGCM"}, suites},
		{map[string]any{"SSL_cipher_list": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"}, suites},
		{map[string]any{"SSL_cipher_list": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", "SSL_honor_cipher_order": 0}, suites},
		{map[string]any{"SSL_cipher_list": "ALL:!AESGCM"}, suites},
		{map[string]any{"SSL_cipher_list": "NOSUCH"}, nil},
		{map[string]any{"SSL_verify_mode": 0}, certs}, // with SSL_ca_file, or 2, an error here
		{map[string]any{"SSL_verify_mode": 1, "SSL_ca_file": caFile}, certs},
		{map[string]any{"SSL_verify_mode": 3, "SSL_ca_file": caFile}, certs},
		{map[string]any{"SSL_verify_mode": 3, "SSL_ca_file": caFile, "SSL_check_crl": 1, "SSL_crl_file": crl}, certs},
		{map[string]any{"SSL_verify_mode": 3, "SSL_ca_file": caFile, "SSL_fingerprint": "sha256$" + hexOf(bob.cert.Raw)}, annFirst},
		{map[string]any{"SSL_verify_mode": 3, "SSL_ca_file": caFile, "SSL_fingerprint": "sha256$pub$" + hexOf(bareKey(t, bob.cert))}, annFirst},
		{map[string]any{"SSL_alpn_protocols": []string{"aa", "bb"}}, alpn},
		{map[string]any{"SSL_cert_file": map[string]string{"one.example": one, "two.example": two}}, names},
		{map[string]any{"SSL_cert_file": map[string]string{"one.example": one, "": two}}, names},
		{map[string]any{"SSL_cert_file": map[string]string{"one.example": rsa, "one.example%ecc": one, "": two}}, append(names, []string{"-servername", "one.example", "-tls1_2", "-cipher", "aRSA"}, []string{"-servername", "one.example", "-sigalgs", "RSA-PSS+SHA256"})},
		{map[string]any{"SSL_ecdh_curve": "P-384:P-256"}, groups},
		{map[string]any{"SSL_ecdh_curve": "X25519"}, groups},
		{map[string]any{"SSL_ecdh_curve": "nonsense"}, nil},
	} {
		if c.args["SSL_cert_file"] == nil {
			c.args["SSL_cert_file"] = one
			c.args["SSL_key_file"] = one
		} else {
			c.args["SSL_key_file"] = c.args["SSL_cert_file"]
		}
		p, err := Params{}.With(fromMap(c.args))
		var s *Source
		if err == nil {
			s, err = p.Open(Env{Where: "port 443/ssl"})
		}
		theirs := perlServer(t, c.args)
		if (err == nil) != (theirs != "") {
			t.Errorf("%v: here %v, there %q", c.args, err, theirs)
			continue
		}
		compared++
		if err != nil {
			continue
		}
		ours := greet(t, s)
		for _, args := range c.clients {
			o, p := outcome(dial(t, ours, args...)), outcome(dial(t, theirs, args...))
			if c.args["SSL_cipher_list"] == nil {
				// Without a list each has an order of its own.
				o, p = seen["anySuite"].ReplaceAllString(o, ""), seen["anySuite"].ReplaceAllString(p, "")
			}
			if o != p {
				t.Errorf("%v with %v:\n here  %s\n there %s", c.args, args, o, p)
			}
			compared++
		}
	}
	t.Logf("%d outcomes compared", compared)
}

// bareKey is what IO::Socket::SSL takes the digest of for a public key.
func bareKey(t *testing.T, c *x509.Certificate) []byte {
	t.Helper()
	b, err := c.PublicKey.(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newKeyOf(p person) crypto.Signer {
	return p.tls.PrivateKey.(crypto.Signer)
}

// fromMap gives parameters as the configuration would.
func fromMap(args map[string]any) conf.Values {
	v := conf.Values{}
	for k, a := range args {
		switch a := a.(type) {
		case map[string]string:
			for n, text := range a {
				v[k] = append(v[k], conf.Value{Name: n, Text: text})
			}
		case []string:
			v.Set(k, a...)
		default:
			v.Set(k, fmt.Sprint(a))
		}
	}
	return v
}

// TestRealClients has other programs than Go's see what the parameters ask for.
func TestRealClients(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "ca")
	ann := ca.person(t, "ann", nil)
	annFile := writeFile(t, dir, "ann.pem", certPEM(ann.cert), keyPEM(t, newKeyOf(ann)))
	caFile := writeFile(t, dir, "ca.pem", certPEM(ca.cert))
	for _, c := range []struct {
		params, client string
		want           string
	}{
		{"", "-tls1_1 -cipher ALL:@SECLEVEL=0", "!HELLO"},
		{"SSL_version=TLSv1_1", "-tls1_1 -cipher ALL:@SECLEVEL=0", "HELLO"},
		{"SSL_version=SSLv23:!TLSv1_2", "-tls1_2", "!HELLO"},
		{"SSL_version=SSLv23:!TLSv1_2", "-tls1_3", "HELLO"},
		{"SSL_ecdh_curve=P-384", "", "Server Temp Key: ECDH, secp384r1, 384 bits"},
		{"SSL_verify_mode=3 SSL_ca_file=" + caFile, "", "!HELLO"},
		{"SSL_verify_mode=3 SSL_ca_file=" + caFile, "-cert " + annFile + " -key " + annFile, "Acceptable client certificate CA names\nCN = ca"},
		{"SSL_alpn_protocols=x,y", "-alpn y,x", "ALPN protocol: y"},
		{"SSL_ticket_life=0", "-tls1_2", "!session ticket:"},
		{"", "-tls1_2", "session ticket:"},
	} {
		out := dial(t, greet(t, open(t, loopback, strings.Fields(c.params)...)), strings.Fields(c.client)...)
		want, absent := strings.CutPrefix(c.want, "!")
		if strings.Contains(out, want) == absent {
			t.Errorf("%q with %q: want %q\n%s", c.params, c.client, c.want, out)
		}
	}
	gnutls := peer(t, "gnutls-cli")
	for prio, want := range map[string]string{"NORMAL:-VERS-ALL:+VERS-TLS1.3": "TLS1.3", "NORMAL:-VERS-ALL:+VERS-TLS1.2": "TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.1": ""} {
		host, port, _ := net.SplitHostPort(greet(t, open(t, loopback)))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		out, _ := exec.CommandContext(ctx, gnutls, "--insecure", "--priority", prio, "-p", port, host).CombinedOutput()
		cancel()
		if got := strings.Contains(string(out), "HELLO") && strings.Contains(string(out), want); got != (want != "") {
			t.Errorf("gnutls-cli with %s: %s", prio, out)
		}
	}
}
