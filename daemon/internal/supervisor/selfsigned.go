package supervisor

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/tlsparams"
)

// needsSelfSigned reports whether a port of the plan may show a certificate
// that is made in memory. All workers must show the same.
func needsSelfSigned(p *wire.Plan) bool {
	ports := p.Ports
	if p.Admin != nil {
		ports = append(ports[:len(ports):len(ports)], p.Admin.Port)
	}
	for _, r := range ports {
		if !r.Spec.IsTLS() {
			continue
		}
		file := r.Spec.Params.Get("SSL_cert_file")
		if file == "" {
			file = p.Values.Get("SSL_cert_file")
		}
		if file == "" || file == tlsparams.ForceSelfSigned {
			return true
		}
	}
	return false
}

// newSelfSigned makes a certificate and its key, as PEM.
func newSelfSigned(now time.Time) ([]byte, error) {
	c, err := tlsparams.SelfSigned(now)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.TLS().PrivateKey)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.TLS().Certificate[0]})
	pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return b.Bytes(), nil
}
