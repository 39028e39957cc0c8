package acme

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"

	"netserver/internal/certfile"
)

const (
	orderTime = 5 * time.Minute // for one order
	maxTries  = 8               // of one request
)

// An authority is a directory, with our account there.
type authority struct {
	client *acme.Client
	kind   string // of challenge
	show   func(ctx context.Context, name string, p proof) (hide func(), err error)
}

// join makes the account at a directory, or finds the one of before.
func (m *Manager) join(ctx context.Context, directory string) (*authority, error) {
	key, err := m.sharing.accountKey(ctx, m.store, directory)
	if err != nil {
		return nil, fmt.Errorf("the account's key: %w", err)
	}
	hc, err := newHTTP(m.c.CAFile)
	if err != nil {
		return nil, err
	}
	c := &acme.Client{Key: key, HTTPClient: hc, DirectoryURL: directory, UserAgent: "netserver", RetryBackoff: retryAfter}
	account := &acme.Account{}
	if m.c.Email != "" {
		account.Contact = []string{"mailto:" + m.c.Email}
	}
	if m.c.KID != "" {
		secret, err := readBinding(m.c.KeyFile)
		if err != nil {
			return nil, err
		}
		account.ExternalAccountBinding = &acme.ExternalAccountBinding{KID: m.c.KID, Key: secret}
	}
	_, err = c.Register(ctx, account, acme.AcceptTOS)
	if err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return nil, fmt.Errorf("the account at %s: %w", directory, err)
	}
	m.log.Info("acme account", "directory", directory, "account", string(c.KID))
	return &authority{client: c, kind: m.c.Kind(), show: m.show}, nil
}

// CheckFiles returns why a file that c names cannot be used.
func (c *Config) CheckFiles() error {
	_, err := newHTTP(c.CAFile)
	if c.KID != "" {
		_, kerr := readBinding(c.KeyFile)
		err = errors.Join(err, kerr)
	}
	return err
}

// readBinding reads the key of an external account binding.
func readBinding(file string) ([]byte, error) {
	data, err := certfile.Read(certfile.RoleKey, file)
	if err != nil {
		return nil, fmt.Errorf("acme_eab_key_file %w", err)
	}
	text := strings.TrimRight(strings.TrimSpace(string(data)), "=")
	secret, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(secret) == 0 {
		return nil, fmt.Errorf("acme_eab_key_file %s: it must hold the key in base64url, as the authority gives it", file)
	}
	return secret, nil
}

// retryAfter says when a request that failed is made again: soon, a few times.
// Where the authority wants more time than that, the order has failed, and the
// schedule waits.
func retryAfter(n int, _ *http.Request, resp *http.Response) time.Duration {
	d := min(100*time.Millisecond<<n, 5*time.Second)
	if n > maxTries || resp == nil || resp.StatusCode == http.StatusTooManyRequests || waitOf(resp.Header) > d {
		return 0
	}
	return d
}

// obtain makes an order for one name, and returns key and chain as PEM.
func (a *authority) obtain(ctx context.Context, name string) ([]byte, error) {
	order, err := a.client.AuthorizeOrder(ctx, acme.DomainIDs(name))
	if err != nil {
		return nil, fmt.Errorf("the order: %w", err)
	}
	for _, u := range order.AuthzURLs {
		if err := a.authorize(ctx, name, u); err != nil {
			return nil, err
		}
	}
	uri := order.URI
	if order, err = a.client.WaitOrder(ctx, uri); err != nil {
		return nil, fmt.Errorf("the order: %w", err)
	}
	key, text, err := newKey()
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return nil, err
	}
	chain, err := a.finalize(ctx, uri, order.FinalizeURL, csr)
	if err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	b := bytes.NewBuffer(text)
	for _, der := range chain {
		pem.Encode(b, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return b.Bytes(), nil
}

// finalize ends an order, and returns the chain. Where the authority takes a
// while and its answer does not say where the order is (RFC 8555 does not ask
// for that), CreateOrderCert does not find it again, but we know.
func (a *authority) finalize(ctx context.Context, order, finalize string, csr []byte) ([][]byte, error) {
	chain, _, err := a.client.CreateOrderCert(ctx, finalize, csr, true)
	if err == nil {
		return chain, nil
	}
	o, werr := a.client.WaitOrder(ctx, order)
	if werr != nil || o.Status != acme.StatusValid || o.CertURL == "" {
		return nil, err
	}
	return a.client.FetchCert(ctx, o.CertURL, true)
}

// authorize shows the authority that the name is ours.
func (a *authority) authorize(ctx context.Context, name, uri string) error {
	z, err := a.client.GetAuthorization(ctx, uri)
	if err != nil {
		return fmt.Errorf("the authorization: %w", err)
	}
	if z.Status == acme.StatusValid {
		return nil
	}
	i := slices.IndexFunc(z.Challenges, func(c *acme.Challenge) bool { return c.Type == a.kind })
	if i < 0 || !strings.EqualFold(z.Identifier.Value, name) {
		return fmt.Errorf("the authority offers no %s challenge for the name", a.kind)
	}
	text, err := a.client.HTTP01ChallengeResponse(z.Challenges[i].Token) // that is the key authorization
	if err != nil {
		return err
	}
	p, err := newProof(a.kind, name, z.Challenges[i].Token, text)
	if err != nil {
		return fmt.Errorf("the challenge: %w", err)
	}
	hide, err := a.show(ctx, name, p)
	if err != nil {
		return fmt.Errorf("the answer to the challenge does not reach the processes that serve: %w", err)
	}
	defer hide()
	if _, err := a.client.Accept(ctx, z.Challenges[i]); err != nil {
		return fmt.Errorf("the challenge: %w", err)
	}
	if _, err := a.client.WaitAuthorization(ctx, uri); err != nil {
		return fmt.Errorf("the challenge: %w", err)
	}
	return nil
}

// check returns why what an authority gave cannot be served.
func check(text []byte, name string, now time.Time) (*x509.Certificate, error) {
	c, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("the certificate that the authority gave cannot be used: %w", err)
	}
	if err := c.Leaf.VerifyHostname(name); err != nil {
		return nil, fmt.Errorf("the authority gave a certificate for something else: %w", err)
	}
	if len(text) > room {
		return nil, fmt.Errorf("the authority gave a chain of %d bytes", len(text))
	}
	if now.Before(c.Leaf.NotBefore) || now.After(c.Leaf.NotAfter) {
		return nil, fmt.Errorf("the authority gave a certificate that is valid from %s to %s, and the clock of this machine says %s",
			date(c.Leaf.NotBefore), date(c.Leaf.NotAfter), date(now))
	}
	return c.Leaf, nil
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
