//go:build unix

package exec_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"netserver/handler/exec"
)

func TestSubstitution(t *testing.T) {
	h := &exec.Handler{Path: "printf", Args: []string{`%%s|`, "%{peer}", "p=%{peer_port}", "%{local}:%{port}", "%{sni}", "%{cert_cn}", "%{cert_fingerprint}", "%{id}", "$(id) `id`"}, Substitute: true}
	s := serve(t, h)
	c := s.dial("tls")
	out, _ := io.ReadAll(c)
	_, number, _ := net.SplitHostPort(c.LocalAddr().String())
	want := fmt.Sprintf("127.0.0.1|p=%s|%s|localhost|Jane Client|%x|%d|$(id) `id`|",
		number, s.addr["tls"], sha256.Sum256(s.pki.client.Certificates[0].Certificate[0]), s.record().ID)
	if string(out) != want {
		t.Errorf("got  %s\nwant %s", out, want)
	}
}

// Without Substitute nothing is replaced.
func TestNoSubstitution(t *testing.T) {
	s := serve(t, &exec.Handler{Path: "echo", Args: []string{"%{peer}", "%%", "%{http_code}"}})
	if got := s.run("tcp", ""); got != "%{peer} %% %{http_code}\n" {
		t.Errorf("got %q", got)
	}
}

// Who has no value runs no program.
func TestSubstitutionWithoutAValue(t *testing.T) {
	for arg, proto := range map[string]string{"%{sni}": "tcp", "%{cert_cn}": "tcp", "%{peer}": "unix", "%{alpn}": "tls"} {
		s := serve(t, &exec.Handler{Path: "echo", Args: []string{"ran", arg}, Substitute: true})
		if got := s.run(proto, ""); got != "" {
			t.Errorf("%s: got %q", arg, got)
		}
		if r := s.record(); !errors.Is(r.Err, exec.ErrArgument) || !strings.Contains(r.Err.Error(), "argument 2: "+arg) {
			t.Errorf("%s: %v", arg, r.Err)
		}
	}
}

// Names that a client's certificate may have, and nobody should get to see.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{"-rf", "--help", "a\nb", "a\x00b", "../../etc", "a/b", `a\b`, "..", ".", "\xff", "\u0085", strings.Repeat("x", 256), "\x1b[2J"} {
		if exec.Unfit(name) == "" {
			t.Errorf("%q is let in", name)
		}
	}
	for _, name := range []string{"Jane Client", "Zoë", "a-b", "x;reboot", "$(reboot)", "%{peer}", "*", strings.Repeat("x", 255)} {
		if why := exec.Unfit(name); why != "" {
			t.Errorf("%q: %s", name, why)
		}
	}
}

// A certificate's name that begins with - is no option, but may follow one.
func TestNamesAreNoOptions(t *testing.T) {
	for arg, want := range map[string]string{"%{cert_cn}": "", "name=%{cert_cn}": "name=-n\n"} {
		s := serve(t, &exec.Handler{Path: "echo", Args: []string{arg}, Substitute: true})
		s.pki.client.Certificates = []tls.Certificate{named(t, s, "-n")}
		if got := s.run("tls", ""); got != want {
			t.Errorf("%s: got %q", arg, got)
		}
	}
}

// named returns a client's certificate with a common name, which the server
// trusts.
func named(t *testing.T, s *server, name string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	first := parse(t, s.pki.client.Certificates[0].Certificate[0])
	c := &x509.Certificate{SerialNumber: first.SerialNumber, Subject: pkix.Name{CommonName: name},
		NotBefore: first.NotBefore, NotAfter: first.NotAfter, ExtKeyUsage: first.ExtKeyUsage}
	der := sign(t, c, c, key, key)
	s.pki.server.ClientCAs.AddCert(parse(t, der))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestCheckOfArguments(t *testing.T) {
	for arg, want := range map[string]string{
		"%{http_code}": "exec: argument 1: there is no %{http_code}; there are peer, peer_port, peer_host, local, port, sni, alpn, cert_cn, cert_fingerprint, id",
		"100%":         `exec: argument 1: "100%": after % stands {NAME}, or another % for one as it is`,
		"%{peer":       `exec: argument 1: "%{peer": after % stands {NAME}, or another % for one as it is`,
		"%s":           `exec: argument 1: "%s": after % stands {NAME}, or another % for one as it is`,
	} {
		h := &exec.Handler{Path: "cat", Args: []string{arg}, Substitute: true}
		if err := h.Check(); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func FuzzArguments(f *testing.F) {
	for _, s := range []string{"%{peer}", "%%", "%{", "}%{id}%", "a%{sni}b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h := &exec.Handler{Path: "cat", Args: []string{s}, Substitute: true}
		if err := h.Check(); err == nil && strings.HasSuffix(strings.ReplaceAll(s, "%%", ""), "%") {
			t.Errorf("%q is let in", s)
		}
	})
}
