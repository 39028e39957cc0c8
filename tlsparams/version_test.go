package tlsparams

import (
	"crypto"
	"crypto/tls"
	"io"
	"testing"
)

// A listener is a key that remembers what it signed last.
type listener struct {
	crypto.Signer
	last []byte
}

func (l *listener) SignMessage(r io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	l.last = msg
	return crypto.SignMessage(l.Signer, r, msg, opts)
}

// TestMarkAgainstDowngrades: a server that allows TLS 1.3 says so in TLS 1.2
// whatever else was chosen for the client; package signer relies on that.
func TestMarkAgainstDowngrades(t *testing.T) {
	leaf, key := newCA(t, "root").server(t, "localhost")
	l := &listener{Signer: key}
	certs := map[string]*tls.Certificate{"": {Certificate: [][]byte{leaf.Raw}, PrivateKey: l}}
	for version, want := range map[string]bool{"SSLv23:!TLSv1:!TLSv1_1": true, "SSLv23:!TLSv1_1": true, "SSLv23": true, "TLSv1_2": false, "SSLv23:!TLSv1_3": false} {
		for name, args := range map[string][]string{"": nil, ", ALPN": {"SSL_alpn_protocols=h2"}, ", client's order": {"SSL_honor_cipher_order=0"}, ", suites": {"SSL_cipher_list=ECDHE-ECDSA-AES128-GCM-SHA256"}} {
			s := open(t, Env{Certificates: certs}, append(args, "SSL_version="+version)...)
			cfg := anyClient()
			cfg.MaxVersion, cfg.NextProtos = tls.VersionTLS12, []string{"h2"}
			if _, _, err := shake(t, s, cfg); err != nil {
				t.Errorf("%s%s: %v", version, name, err)
			}
			if got := string(l.last[56:64]) == "DOWNGRD\x01"; got != want {
				t.Errorf("%s%s: the mark is there: %v", version, name, got)
			}
		}
	}
}
