package challenge

import (
	"crypto/tls"
	"net"
	"testing"
)

type marked struct {
	net.Conn
	is bool
}

func (m *marked) AnswersChallenge() { m.is = true }

// An answer is for who asks for its name by that protocol alone, on a connection
// that is ended afterwards.
func TestAnswersAreForAuthorities(t *testing.T) {
	set := New(map[string]*tls.Certificate{"A.example": {}})
	for _, c := range []struct {
		name   string
		protos []string
		want   bool
	}{
		{"a.example", []string{Protocol}, true},
		{"A.EXAMPLE", []string{Protocol}, true},
		{"b.example", []string{Protocol}, false},
		{"", []string{Protocol}, false},
		{"a.example", nil, false},
		{"a.example", []string{"h2"}, false},
		{"a.example", []string{Protocol, "h2"}, false},
		{"a.example", []string{"h2", Protocol}, false},
	} {
		m := new(marked)
		got := set.Answer(&tls.ClientHelloInfo{ServerName: c.name, SupportedProtos: c.protos, Conn: m})
		if (got != nil) != c.want || m.is != c.want || set.Has(c.name, c.protos) != c.want {
			t.Errorf("%q %q: %v, marked %v", c.name, c.protos, got != nil, m.is)
		}
	}
	if set.Answer(&tls.ClientHelloInfo{ServerName: "a.example", SupportedProtos: []string{Protocol}}) != nil {
		t.Error("an answer on a connection that nobody ends")
	}
	if c := (*set)["a.example"]; c.ClientAuth != tls.NoClientCert || !c.SessionTicketsDisabled {
		t.Error("an authority is asked for a certificate, or gets a ticket")
	}
	var none *Set
	if New(nil) != nil || none.Has("a.example", []string{Protocol}) {
		t.Error("an answer where there is none")
	}
}
