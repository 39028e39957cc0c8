package tlsparams

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"netserver/tlsparams/internal/trust"
)

// TestAllowFilesAreFollowed changes who may come in by a file of allow lists
// and pins. A file that cannot be used changes nothing.
func TestAllowFilesAreFollowed(t *testing.T) {
	ca, dir := newCA(t, "ca"), t.TempDir()
	env := loopback
	env.ClientCAs = x509.NewCertPool()
	env.ClientCAs.AddCert(ca.cert)
	ann, bob, eve := ca.person(t, "ann", nil), ca.person(t, "bob", nil), newCA(t, "strangers").person(t, "eve", nil)
	file := writeFile(t, dir, "allow", []byte("# who\n\ncn ann\n"))
	s := open(t, env, "SSL_verify_mode=3", "SSL_allow_file="+file)
	for _, c := range []struct {
		text, fault   string
		ann, bob, eve bool
	}{
		{"cn ann\n", "", true, false, false},
		{"cn bob\npin " + trust.Fingerprint(eve.cert, false), "", false, true, true},
		{"", "is empty", false, true, true},
		{"# nobody\n", "holds no entry", false, true, true},
		{"cn ann\nann\n", `line 2 has "ann"`, false, true, true},
		{"cn\n", "line 1 has an empty entry", false, true, true},
		{"pin 12\n", "line 1 has a pin", false, true, true},
		{"cn ann\ncn b\xe4r\n", "line 2 holds something that is not UTF-8", false, true, true},
		{"cn ann\ncn \x00\x00\x00", "line 2 holds a control character", false, true, true},
		{"cn ann\n\ufeffcn bob", "line 2 holds a control character or a byte order mark", false, true, true},
		{"cn ann\r\ncn bob", "", true, true, false},
		{"\ufeffcn\tann\ncn\t bob", "", true, true, false},
		{"pin " + trust.Fingerprint(eve.cert, true), "", false, false, true},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		changed := s.Changed()
		err := s.Reload(file)
		if (err != nil) != (c.fault != "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: %v", c.text, err)
		}
		for who, want := range map[*x509.Certificate]bool{ann.cert: c.ann, bob.cert: c.bob, eve.cert: c.eve} {
			if _, err := s.Judge(context.Background(), &tls.ConnectionState{PeerCertificates: []*x509.Certificate{who}}); (err == nil) != want {
				t.Errorf("%q: %s: %v", c.text, who.Subject, err)
			}
		}
		select {
		case <-changed:
			if c.fault != "" {
				t.Errorf("%q: announced", c.text)
			}
		default:
			if c.fault == "" && c.text != "cn ann\n" {
				t.Errorf("%q: not announced", c.text)
			}
		}
	}
	if _, err := (Params{Client: Client{AllowFiles: []string{file}}}).Open(loopback); err == nil {
		t.Error("a file of allow lists is ignored while no certificate is asked for")
	}
}

func FuzzAllowFile(f *testing.F) {
	f.Add([]byte("cn ops\nuri spiffe://example.org/**\nip 192.0.2.0/24\n# x\npin sha256$00\nspki sha256/AA=\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r trust.Rule
		n, err := trust.AddAllowed(&r, data)
		if err == nil && (n > 0) == r.Allow.Empty() {
			t.Fatal("entries were lost")
		}
	})
}
