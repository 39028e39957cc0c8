package examples_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
)

func TestAutocert(t *testing.T) {
	at := free(t, 1)[0]
	host, number, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	p := run(t, build(t, "autocert", `Host: "*", Port: "443"`, `Host: "`+host+`", Port: "`+number+`"`), "a.example", "b.example")
	p.dial(t, at).Close() // until it listens
	for range 2 {
		for _, name := range []string{"a.example", "b.example"} {
			c, err := tls.Dial("tcp", at, &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got := c.ConnectionState().PeerCertificates[0].DNSNames; len(got) != 1 || got[0] != name {
				t.Errorf("%s: a certificate for %v", name, got)
			}
			if b, err := io.ReadAll(c); string(b) != "hello, this is "+name+"\r\n" || err != nil {
				t.Errorf("%s: %q, %v", name, b, err)
			}
		}
	}
	if _, err := tls.Dial("tcp", at, &tls.Config{ServerName: "c.example", InsecureSkipVerify: true}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a name that is not served: %v", err)
	}
	if n := strings.Count(p.printed(), "new certificate for"); n != 2 {
		t.Errorf("%d certificates were made, want 2", n)
	}
}
