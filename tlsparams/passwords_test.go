package tlsparams

import (
	"strings"
	"testing"

	"netserver/conf"
)

// A source of passwords that no key needs is named, and two are refused.
func TestPasswordsThatNothingNeeds(t *testing.T) {
	leaf, signer := newCA(t, "ca").server(t, "example.com")
	cert := writeFile(t, t.TempDir(), "cert.pem", certPEM(leaf))
	key := writeFile(t, t.TempDir(), "key.pem", keyPEM(t, signer))
	open := func(more map[string]string) (*Source, error) {
		v := conf.Values{}
		v.Set("SSL_cert_file", cert)
		v.Set("SSL_key_file", key)
		for k, text := range more {
			v.Set(k, text)
		}
		p, err := Params{}.With(v)
		if err != nil {
			t.Fatal(err)
		}
		return p.Open(Env{Where: "443/ssl"})
	}
	for key, want := range map[string]string{
		"SSL_passwd_file":    "443/ssl: SSL_passwd_file /etc/pw is not used: no key here is encrypted",
		"SSL_passwd_command": "443/ssl: SSL_passwd_command is not used: no key here is encrypted",
	} {
		s, err := open(map[string]string{key: "/etc/pw"})
		if err != nil {
			t.Fatal(err)
		}
		if w := strings.Join(s.Warnings(), "\n"); !strings.Contains(w, want) {
			t.Errorf("%s: warnings %q", key, w)
		}
	}
	if _, err := open(map[string]string{"SSL_passwd_file": "/etc/pw", "SSL_passwd_command": "/bin/pw secret"}); err == nil ||
		!strings.Contains(err.Error(), "stands beside SSL_passwd_file") || strings.Contains(err.Error(), "secret") {
		t.Errorf("two sources: %v", err)
	}
	s, err := open(nil)
	if err != nil || strings.Contains(strings.Join(s.Warnings(), ""), "passwd") {
		t.Errorf("%v, %q", err, s.Warnings())
	}
}
