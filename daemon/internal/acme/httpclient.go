package acme

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"netserver/internal/certfile"
)

const (
	requestTime = 30 * time.Second // for one request, its answer included
	maxAnswer   = 1 << 20          // bytes of one
)

// newHTTP returns what asks the authority. file holds the roots that it is
// verified against; "" is the system's.
func newHTTP(file string) (*http.Client, error) {
	var roots *x509.CertPool
	if file != "" {
		data, err := certfile.Read(certfile.RoleCert, file)
		if err != nil {
			return nil, fmt.Errorf("acme_ca_file %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("acme_ca_file %s: there is no certificate in it", file)
		}
	}
	return &http.Client{
		Timeout: requestTime,
		Transport: &bounded{&http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, // an order is made every two months
		}},
	}, nil
}

// bounded refuses what an authority may not ask of us, which is to go on without
// TLS, and answers without end.
type bounded struct{ next http.RoundTripper }

// RoundTrip asks next.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, fmt.Errorf("the authority gave a URL that is not https: %.100q", r.URL)
	}
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, maxAnswer}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

var errAnswer = errors.New("the authority's answer is too long")

// Read reads, up to the bound.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errAnswer
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
