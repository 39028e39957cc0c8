package netserver_test

import (
	"crypto/tls"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
	"netserver/tlsparams"
)

// A certificate authority sees the answer to its challenge on a port that asks
// every client for a certificate, and whose handler would pass the name's
// clients on. Nobody else sees it, and no handler sees the authority.
func TestChallenges(t *testing.T) {
	var transport atomic.Pointer[proto.TLSTransport]
	h := &passing{seen: make(chan *proto.ClientHello, 9)}
	s := &netserver.Server{Handler: h}
	s.Protocols = map[string]proto.Protocol{"ssl": func(p port.Spec) (proto.Transport, error) {
		made, err := proto.TLS{Params: s.Config.TLS}.Protocol(p)
		if t, ok := made.(*proto.TLSTransport); ok {
			transport.Store(t)
		}
		return made, err
	}}
	s.Config.TLS.Client = tlsparams.Client{CAFiles: []string{netservertest.NewCA(t, "clients").File(t)}, VerifyMode: tlsparams.VerifyRequired}
	s.Config.TLS.UnknownSNI = "refuse"
	r := netservertest.Start(t, s, "ssl")
	answer, err := tlsparams.SelfSigned(time.Now(), "pass.example")
	if err != nil {
		t.Fatal(err)
	}
	look := func(name string, protocols ...string) (string, error) {
		nc := r.DialRaw(t, "ssl")
		defer nc.Close()
		c := tls.Client(nc, &tls.Config{ServerName: name, NextProtos: protocols, InsecureSkipVerify: true})
		if err := c.Handshake(); err != nil {
			return "", err
		}
		got, _ := io.ReadAll(c)
		if len(got) > 0 {
			t.Errorf("%s %q: a handler says %q", name, protocols, got)
		}
		cs := c.ConnectionState()
		if cs.NegotiatedProtocol != "" && cs.NegotiatedProtocol != "acme-tls/1" {
			t.Errorf("negotiated %q", cs.NegotiatedProtocol)
		}
		return tlsparams.Fingerprint(cs.PeerCertificates[0]), nil
	}
	src := transport.Load().Source()
	src.SetChallenges(map[string]*tls.Certificate{"pass.example": answer.TLS()})
	for _, name := range []string{"pass.example", "PASS.example"} {
		if got, err := look(name, "acme-tls/1"); err != nil || got != answer.Fingerprint() {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if recs := r.Records(t, 2); recs[0].Outcome != outcome.Challenge || recs[1].Outcome != outcome.Challenge {
		t.Errorf("%v: %v", recs[0].Outcome, recs[0].Err)
	}
	if !strings.Contains(r.Log(), "challenge answered") {
		t.Errorf("the log: %s", r.Log())
	}
	if len(h.seen) > 0 {
		t.Error("the handler was asked about an authority")
	}
	for _, other := range []struct {
		name   string
		protos []string
	}{{"localhost", []string{"acme-tls/1"}}, {"other.example", []string{"acme-tls/1"}}, {"localhost", nil}, {"pass2.example", []string{"acme-tls/1", "h2"}}} {
		if got, err := look(other.name, other.protos...); got == answer.Fingerprint() {
			t.Errorf("%v sees the answer, %v", other, err)
		}
	}
	src.SetChallenges(nil)
	if src.AnswersChallenge("pass.example", []string{"acme-tls/1"}) {
		t.Error("an answer that was taken back")
	}
	for _, rec := range r.Records(t, 6)[2:] {
		if rec.Outcome == outcome.Challenge || rec.Outcome == outcome.Served {
			t.Errorf("%v: %v", rec.Outcome, rec.Err)
		}
	}
}
