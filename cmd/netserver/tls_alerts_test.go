//go:build unix

package main_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"testing"

	"netserver/netservertest"
)

// recordsOf returns the types of the TLS records in b.
func recordsOf(b []byte) (types []byte) {
	for len(b) >= 5 {
		types = append(types, b[0])
		b = b[min(len(b), 5+int(b[3])<<8+int(b[4])):]
	}
	return types
}

// Whatever serves a client, after a fatal alert nothing more is sent: no
// close_notify, and nothing of what the program or the backend still says.
func TestNothingFollowsAnAlert(t *testing.T) {
	b := newTLSBed(t)
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	go func() {
		for {
			c, err := backend.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Write([]byte("one more word")) // after the client's end
				c.Close()
			}()
		}
	}()
	for name, serves := range map[string][]string{
		"echo": {"--echo", "raw"}, "proxy": {"--proxy_to", backend.Addr().String()},
		"program": {"--", "/bin/sh", "-c", "cat; echo one more word"},
	} {
		t.Run(name, func(t *testing.T) {
			s := b.start(t, serves...)
			for what, record := range map[string][]byte{
				"damaged":        append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...),
				"too long":       append([]byte{23, 3, 3, 0xff, 0xff}, make([]byte, 1000)...),
				"and more":       append([]byte{23, 3, 3, 0, 40}, make([]byte, 1<<18)...), // which a reset would punish
				"unknown type":   {99, 3, 3, 0, 1, 0},
				"plain alert":    {21, 3, 3, 0, 2, 2, 48},
				"plain data":     {23, 3, 3, 0, 3, 'a', 'b', 'c'},
				"other version":  {23, 3, 1, 0, 40},
				"hello in plain": {22, 3, 1, 0, 4, 1, 0, 0, 0},
			} {
				for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
					raw := dial(t, "tcp", s.addr(0))
					cfg := clientTLS(t, nil)
					cfg.MinVersion, cfg.MaxVersion = version, version
					c := tls.Client(raw, cfg)
					c.Write([]byte("x"))
					if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
					raw.Write(record)
					rest, err := io.ReadAll(raw)
					if got := recordsOf(rest); len(got) != 1 || err != nil && name != "proxy" { // which resets both sides then
						t.Errorf("%s, TLS %x: %d records came, want one alert: % x, %v", what, version, len(got), rest, err)
					}
				}
			}
			s.stop()
		})
	}
}

// The commonest mistake of all has a name in the record: a client that does
// not trust the certificate. openssl says so in plain text with TLS 1.3.
func TestUntrustedCertificateIsNamed(t *testing.T) {
	b := newTLSBed(t)
	s := b.start(t)
	openssl := netservertest.Peer(t, "openssl")
	for i, version := range []string{"-tls1_2", "-tls1_3"} {
		cmd := exec.Command(openssl, "s_client", "-connect", s.addr(0), "-verify_return_error", version)
		cmd.Stdin = new(bytes.Buffer)
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%s: openssl is content:\n%s", version, out)
		}
		s.awaitLogs(`failed .*err="TLS handshake: the client does not trust the server's certificate: it sent the alert \w+" outcome=alert`, i+1)
	}
	s.stop()
}
