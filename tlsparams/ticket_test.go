package tlsparams

import (
	"crypto/tls"
	"encoding/base64"
	"os"
	"testing"
)

// TestTicketsAreTied has a client take a ticket under one configuration to
// another one; only where nothing that matters differs does it resume.
func TestTicketsAreTied(t *testing.T) {
	dir := t.TempDir()
	key := writeFile(t, dir, "keys", []byte(base64.StdEncoding.EncodeToString(make([]byte, 48))))
	ca := newCA(t, "ca")
	caFile := "SSL_ca_file=" + writeFile(t, dir, "ca.pem", certPEM(ca.cert))
	ca2File := "SSL_ca_file=" + writeFile(t, dir, "ca2.pem", certPEM(ca.cert, newCA(t, "more").cert))
	ann := ca.person(t, "ann", nil)
	keys := "SSL_ticket_key_file=" + key
	other := Env{Loopback: true, Where: "port 444/ssl"}
	for name, c := range map[string]struct {
		from, to []string
		toEnv    Env
		sni      string
		resumes  bool
	}{
		"same":             {[]string{keys}, []string{keys}, loopback, "localhost", true},
		"other port":       {[]string{keys}, []string{keys}, other, "localhost", false},
		"joined ports":     {[]string{keys, "SSL_session_id_context=x"}, []string{keys, "SSL_session_id_context=x"}, other, "localhost", true},
		"other name":       {[]string{keys}, []string{keys}, loopback, "elsewhere", false},
		"own keys":         {nil, nil, loopback, "localhost", false},
		"now required":     {[]string{keys}, []string{keys, "SSL_verify_mode=3", caFile}, loopback, "localhost", false},
		"same rules":       {[]string{keys, "SSL_verify_mode=3", caFile}, []string{keys, "SSL_verify_mode=3", caFile}, loopback, "localhost", true},
		"more authorities": {[]string{keys, "SSL_verify_mode=3", caFile}, []string{keys, "SSL_verify_mode=3", ca2File}, loopback, "localhost", false},
		"other allow list": {[]string{keys, "SSL_verify_mode=3", caFile}, []string{keys, "SSL_verify_mode=3", caFile, "SSL_allow_cn=ann"}, loopback, "localhost", false},
		"no tickets":       {[]string{"SSL_ticket_life=0"}, []string{"SSL_ticket_life=0"}, loopback, "localhost", false},
	} {
		from, to := open(t, loopback, c.from...), open(t, c.toEnv, c.to...)
		if name == "same" {
			to = from
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			cfg := ann.config()
			cfg.MinVersion, cfg.MaxVersion = version, version
			// One entry for all names, so that the client tries its ticket anywhere.
			cfg.ClientSessionCache = oneTicket{&[1]*tls.ClientSessionState{}}
			if _, _, err := shake(t, from, cfg); err != nil {
				t.Fatal(name, err)
			}
			cfg.ServerName = c.sni
			srv, _, err := shake(t, to, cfg)
			if err != nil || srv.DidResume != c.resumes {
				t.Errorf("%s, TLS %x: resumed %v, %v", name, version, srv.DidResume, err)
			}
		}
	}
}

// Machines of a cluster have addresses of their own, and the same ports.
func TestTicketsOfAllMachines(t *testing.T) {
	here := Env{Loopback: true, Clustered: true, TicketSecret: []byte("secret"), Where: "port 192.0.2.1:443/ssl", TicketPlace: "443/ssl"}
	for name, c := range map[string]struct {
		change  func(*Env)
		args    []string
		resumes bool
	}{
		"another address": {func(e *Env) { e.Where = "port 192.0.2.2:443/ssl" }, nil, true},
		"another port":    {func(e *Env) { e.TicketPlace = "444/ssl" }, nil, false},
		"alone":           {func(e *Env) { e.Clustered = false }, nil, false},
		"another context": {func(e *Env) {}, []string{"SSL_session_id_context=443/ssl"}, false},
		"another cluster": {func(e *Env) { e.TicketSecret = []byte("other") }, nil, false},
	} {
		there := here
		c.change(&there)
		cfg := anyClient()
		cfg.ClientSessionCache = oneTicket{&[1]*tls.ClientSessionState{}}
		if _, _, err := shake(t, open(t, here), cfg); err != nil {
			t.Fatal(name, err)
		}
		if srv, _, err := shake(t, open(t, there, c.args...), cfg); err != nil || srv.DidResume != c.resumes {
			t.Errorf("%s: resumed %v, %v", name, srv.DidResume, err)
		}
	}
}

type oneTicket struct{ at *[1]*tls.ClientSessionState }

func (o oneTicket) Get(string) (*tls.ClientSessionState, bool) { return o.at[0], o.at[0] != nil }
func (o oneTicket) Put(_ string, s *tls.ClientSessionState)    { o.at[0] = s }

func TestTicketKeysAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	line := func(b byte) []byte {
		k := make([]byte, 48)
		k[0] = b
		return []byte(base64.StdEncoding.EncodeToString(k) + "\n")
	}
	file := writeFile(t, dir, "keys", line(1))
	s := open(t, loopback, "SSL_ticket_key_file="+file)
	cfg := anyClient()
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumed := func() bool {
		srv, _, err := shake(t, s, cfg)
		if err != nil {
			t.Fatal(err)
		}
		return srv.DidResume
	}
	resumed()
	for _, c := range []struct {
		keys [][]byte
		want bool
	}{{[][]byte{line(1)}, true}, {[][]byte{line(2), line(1)}, true}, {[][]byte{line(2)}, true}, {[][]byte{line(3)}, false}} {
		writeFile(t, dir, "keys", c.keys...)
		if err := s.Reload(file); err != nil {
			t.Fatal(err)
		}
		if got := resumed(); got != c.want {
			t.Errorf("%d keys: resumed %v", len(c.keys), got)
		}
	}
	os.WriteFile(file, []byte("broken"), 0o600)
	if err := s.Reload(file); err == nil || !resumed() {
		t.Error("a broken key file takes the keys away:", err)
	}
}

// TestTicketsOfThePast: who has a secret of before, and so can read and make
// its tickets, comes in as nobody with a certificate, and reads no TLS 1.2.
func TestTicketsOfThePast(t *testing.T) {
	ca := newCA(t, "ca")
	caFile := "SSL_ca_file=" + writeFile(t, t.TempDir(), "ca.pem", certPEM(ca.cert))
	ann := ca.person(t, "ann", nil)
	first, second, third := []byte("first secret"), []byte("second secret"), []byte("third secret")
	for name, c := range map[string]struct {
		version uint16
		args    []string
		past    [][]byte
		resumes bool
	}{
		"TLS 1.3":               {tls.VersionTLS13, nil, [][]byte{second, first}, true},
		"TLS 1.3, forgotten":    {tls.VersionTLS13, nil, [][]byte{second}, false},
		"TLS 1.2":               {tls.VersionTLS12, nil, [][]byte{second, first}, false},
		"certificate":           {tls.VersionTLS13, []string{"SSL_verify_mode=3", caFile}, [][]byte{second, first}, false},
		"certificate, optional": {tls.VersionTLS13, []string{"SSL_verify_mode=1", caFile}, [][]byte{second, first}, false},
		"certificate, TLS 1.2":  {tls.VersionTLS12, []string{"SSL_verify_mode=3", caFile}, [][]byte{second, first}, false},
	} {
		s := open(t, Env{Loopback: true, TicketSecret: first}, c.args...)
		cfg := ann.config()
		cfg.MinVersion, cfg.MaxVersion = c.version, c.version
		cfg.ClientSessionCache = oneTicket{&[1]*tls.ClientSessionState{}}
		resumed := func() bool {
			srv, _, err := shake(t, s, cfg)
			if err != nil {
				t.Fatal(name, err)
			}
			return srv.DidResume
		}
		if resumed() || !resumed() {
			t.Errorf("%s: does not resume in its own time", name)
		}
		s.RenewTicketSecret(second, second) // of another who gave his own
		s.RenewTicketSecret(first, third, c.past...)
		if got := resumed(); got != c.resumes {
			t.Errorf("%s: resumed %v", name, got)
		}
		if !resumed() {
			t.Errorf("%s: the new ticket does not resume", name)
		}
	}
}
