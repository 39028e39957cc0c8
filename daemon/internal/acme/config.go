package acme

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// A Config says which certificates are wanted, and of whom. It holds texts
// only, so that two can be compared; the zero Config wants none.
type Config struct {
	Names     []string // lower case, each with a certificate of its own
	Email     string   // for the authority, when the account is made
	Directory string   // URL
	Staging   string   // URL of a directory to try first after failures; "" is none
	CAFile    string   // roots that the directory is verified against; "" is the system's
	Storage   string   // directory
	Challenge string   // TLSALPN01 or HTTP01; "" is the first
	KID       string   // of an external account binding; "" is none
	KeyFile   string   // for that: the key in base64url
}

// Zero reports whether no certificate is wanted.
func (c *Config) Zero() bool { return len(c.Names) == 0 }

// Equal reports whether both ask for the same.
func (c *Config) Equal(o *Config) bool {
	a, b := *c, *o
	a.Names, b.Names = nil, nil
	return slices.Equal(c.Names, o.Names) && fmt.Sprint(a) == fmt.Sprint(b)
}

// The challenges by which an authority looks whether a name is ours.
const (
	TLSALPN01 = "tls-alpn-01" // by a TLS handshake at port 443 (RFC 8737)
	HTTP01    = "http-01"     // by HTTP at port 80 (RFC 8555, section 8.3)
)

// Kind returns the challenge that is asked for.
func (c *Config) Kind() string { return cmp.Or(c.Challenge, TLSALPN01) }

// The directories that have names.
const (
	Production = "https://acme-v02.api.letsencrypt.org/directory"
	Staging    = "https://acme-staging-v02.api.letsencrypt.org/directory"
)

// ParseDirectory returns the URL that text means, and that of the directory to
// try first after failures, "" for none.
func ParseDirectory(text string) (directory, staging string, err error) {
	switch text {
	case "", "production", Production:
		return Production, Staging, nil
	case "staging":
		return Staging, "", nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "", "", fmt.Errorf("%q is neither production nor staging nor an https URL", text)
	}
	return text, "", nil
}

// maxNames is how many certificates one server orders.
const maxNames = 1000

// ParseNames reads names that certificates are wanted for. They become names of
// files: nothing but letters, digits, hyphens and single dots comes through.
func ParseNames(texts []string) ([]string, error) {
	var names []string
	var errs []error
	for _, text := range texts {
		name := strings.ToLower(strings.TrimSuffix(text, "."))
		if err := checkName(name); err != nil {
			errs = append(errs, fmt.Errorf("%q %w", text, err))
			continue
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > maxNames {
		errs = append(errs, fmt.Errorf("%d names are more than %d", len(names), maxNames))
	}
	slices.Sort(names)
	return names, errors.Join(errs...)
}

// checkName returns why there can be no certificate for a name.
func checkName(name string) error {
	if strings.HasPrefix(name, "*.") {
		return errors.New("is a wildcard, which authorities issue by DNS-01 only: that needs the credentials of a DNS provider, and another ACME client with SSL_cert_dir does it")
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return errors.New("is an address; give a DNS name")
	}
	if name == "" || len(name) > 253 {
		return errors.New("is no DNS name: it must have 1 to 253 characters")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("is no DNS name: between dots stand 1 to 63 characters, with no hyphen at their ends")
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
				return errors.New("is no DNS name: it may have letters, digits, hyphens and dots; give an international name in its xn-- form")
			}
		}
	}
	return nil
}

// CertificateDir is where the certificates of a storage are.
func CertificateDir(storage string) string { return filepath.Join(storage, dirCertificates) }
