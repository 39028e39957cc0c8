package port

import (
	"strings"
	"testing"

	"netserver/conf"
)

// Read looks nothing up, and makes no port of nothing.
func TestRead(t *testing.T) {
	text := func(s ...string) (v []conf.Value) {
		for _, s := range s {
			v = append(v, conf.Value{Text: s})
		}
		return v
	}
	for _, tt := range []struct {
		in   Input
		want string
	}{
		{Input{}, ""},
		{Input{Protos: text("ssl")}, "20203/ssl"},
		{Input{Ports: Texts(text("no.such.host.invalid:443/ssl", "25"))}, "no.such.host.invalid:443/ssl 25/tcp"},
		{Input{Ports: Texts(text("443", "25")), Protos: text("tls", "tcp")}, "443/tls 25/tcp"},
		{Input{Ports: Texts(text("/run/x.sock|unix"))}, "/run/x.sock|unix"},
	} {
		rows, err := Read(tt.in)
		var got []string
		for _, r := range rows {
			got = append(got, r.Short())
		}
		if s := strings.Join(got, " "); err != nil || s != tt.want {
			t.Errorf("got %q, %v; want %q", s, err, tt.want)
		}
	}
	if _, err := Read(Input{Ports: Texts(text("70000"))}); err == nil {
		t.Error("a port above 65535 is read")
	}
}

func TestSameProtocol(t *testing.T) {
	a, b := Spec{Port: "1", Proto: "ssl"}, Spec{Port: "2", Proto: "TLS", Params: conf.Values{}}
	if !SameProtocol(a, b) {
		t.Error("ssl and TLS differ")
	}
	b.Params.Set("SSL_verify_mode", "3")
	if SameProtocol(a, b) {
		t.Error("a port with rules of its own is taken for one without")
	}
}
