//go:build unix

package main_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"netserver/netservertest"
)

// scanned starts a server with the default parameters and a certificate that
// scanners have nothing against.
func scanned(t *testing.T) (s *server, b *tlsBed) {
	t.Helper()
	b = newTLSBed(t)
	root := netservertest.CA(t)
	id := issue(t, root, b.path("scanned.pem"), x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(89 * 24 * time.Hour), CRLDistributionPoints: []string{"http://127.0.0.1/list.crl"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	write(t, id.file, pemOf(id.cert.Raw)+pemOf(root.Cert.Raw)+keyPEM(t, id.key))
	return start(t, "--host", "127.0.0.1", "--port", "0/ssl", "--SSL_cert_file", id.file), b
}

// unavoidable are findings of testssl.sh that crypto/tls gives no way around,
// or that are not about the server.
var unavoidable = map[string]string{
	"TLS_session_ticket": "the life that crypto/tls tells clients is fixed to 7 days; SSL_ticket_life, a day, is what holds",
	"DNS_CAArecord":      "is about the domain's DNS",
	"engine_problem":     "is about the engines of the scanner's own openssl",
}

// TestScannedByTestssl has testssl.sh look at the default parameters.
func TestScannedByTestssl(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("takes half a minute, and sees the same with the race detector")
	}
	program := netservertest.Peer(t, "testssl")
	s, b := scanned(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	report := b.path("report.json")
	cmd := exec.CommandContext(ctx, program, "--quiet", "--color", "0", "--warnings", "batch", "--ip", "one", "--openssl-timeout", "10",
		"--add-ca", netservertest.CA(t).File(t), "--jsonfile", report, "-p", "-s", "-f", "-P", "-S", "-U", s.addr(0))
	cmd.WaitDelay = time.Second
	out, _ := cmd.CombinedOutput() // its status counts findings
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var findings []struct{ ID, Severity, Finding string }
	if err := json.Unmarshal(data, &findings); err != nil || ctx.Err() != nil {
		t.Fatalf("%v %v\n%s", err, ctx.Err(), out)
	}
	seen := map[string]bool{}
	for _, f := range findings {
		seen[f.ID] = true
		switch f.Severity {
		case "OK", "INFO", "DEBUG":
			continue
		}
		if why := unavoidable[f.ID]; why != "" {
			t.Logf("%s: %s: %s (%s)", f.Severity, f.ID, f.Finding, why)
			continue
		}
		t.Errorf("%s: %s: %s", f.Severity, f.ID, f.Finding)
	}
	for _, id := range []string{"TLS1_3", "heartbleed", "LUCKY13", "BEAST", "cert_chain_of_trust"} {
		if !seen[id] {
			t.Errorf("testssl.sh did not look for %s", id)
		}
	}
	if t.Failed() {
		t.Logf("testssl.sh wrote:\n%s", out)
	}
	s.stop()
}

// TestScannedBySslscan has sslscan look at the default parameters.
func TestScannedBySslscan(t *testing.T) {
	program := netservertest.Peer(t, "sslscan")
	s, _ := scanned(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--no-colour", s.addr(0)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`SSLv2 +disabled`, `SSLv3 +disabled`, `TLSv1\.0 +disabled`, `TLSv1\.1 +disabled`, `TLSv1\.2 +enabled`, `TLSv1\.3 +enabled`,
		`supports TLS Fallback SCSV`, `renegotiation not supported`, `TLSv1\.2 not vulnerable to heartbleed`,
		`TLSv1\.2 +128 bits +ECDHE-ECDSA-AES128-GCM-SHA256`, `TLSv1\.3 .*x25519`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("no %s", want)
		}
	}
	bad := regexp.MustCompile(`(?m)^(Preferred|Accepted) .*(CBC|-SHA +Curve|-SHA$|RC4|DES|NULL|EXP|anon|\s(40|56|112) bits).*$|[^t] vulnerable to`)
	for _, line := range bad.FindAllString(string(out), -1) {
		t.Errorf("offers %s", line)
	}
	if t.Failed() {
		t.Logf("sslscan wrote:\n%s", out)
	}
	s.stop()
}
