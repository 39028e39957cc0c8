package clustering

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"netserver/daemon/internal/wire"
	"netserver/internal/certfile"
)

// hasTLS reports whether a store with this URL may be talked to by TLS: with
// nats its server decides.
func hasTLS(url string) bool {
	scheme, _, _ := strings.Cut(url, ":")
	return scheme != SchemeDir && scheme != "redis" && !strings.HasPrefix(scheme, "redis+")
}

// checkTLS returns what is wrong with each of the keys of TLS.
func (c *Config) checkTLS(fail func(key string, err error, hint string)) {
	for _, k := range []struct {
		key, file string
		read      func() ([]byte, error)
	}{{KeyCA, c.CAFile, c.authorities}, {KeyCert, c.CertFile, c.certificate}} {
		if k.file != "" && !hasTLS(c.URL) {
			fail(k.key, errors.New("has no effect: the store of this URL is without TLS"), "rediss:// or tls:// (of NATS) are with it")
		} else if _, err := k.read(); err != nil {
			fail(k.key, err, "")
		}
	}
}

// authorities returns the content of the file of authorities, nil for none.
func (c *Config) authorities() ([]byte, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	data, err := certfile.Read(certfile.RoleCert, c.CAFile)
	if err != nil {
		return nil, err
	}
	if len(data) > maxAuthorities {
		return nil, fmt.Errorf("%s is larger than %d KiB", c.CAFile, maxAuthorities>>10)
	}
	if _, err := authorities(data); err != nil {
		return nil, fmt.Errorf("%s %w", c.CAFile, err)
	}
	return data, nil
}

// maxAuthorities is how long a file of authorities may be, which comes in a
// message to the process that shares.
const maxAuthorities = 1 << 20

func authorities(data []byte) (*x509.CertPool, error) {
	list, err := certfile.Authorities(data)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errors.New("holds no certificate")
	}
	pool := x509.NewCertPool()
	for _, ca := range list {
		pool.AddCert(ca)
	}
	return pool, nil
}

// certificate returns the content of the file with the certificate for the store
// and its key, nil for none.
func (c *Config) certificate() ([]byte, error) {
	if c.CertFile == "" {
		return nil, nil
	}
	data, err := readSecret(c.CertFile)
	if err != nil {
		return nil, err
	}
	_, err = certificate(c.CertFile, data)
	return data, err
}

func certificate(file string, data []byte) (*tls.Certificate, error) {
	p, err := (&certfile.Loader{Client: true}).Parse(file, data, "", nil)
	if err != nil {
		return nil, err
	}
	return p.TLS(), nil
}

// tlsConfig returns how the store is talked to by TLS.
func tlsConfig(c *wire.Cluster) (*tls.Config, error) {
	cfg := &tls.Config{}
	if len(c.CA) > 0 {
		pool, err := authorities(c.CA)
		if err != nil {
			return nil, fmt.Errorf("%s: the file %w", KeyCA, err)
		}
		cfg.RootCAs = pool
	}
	if len(c.Cert) > 0 {
		pair, err := certificate("the file", c.Cert)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", KeyCert, err)
		}
		cfg.Certificates = []tls.Certificate{*pair}
	}
	return cfg, nil
}
