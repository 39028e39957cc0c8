package wire

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"netserver/internal/control"
	"netserver/proto"
	"netserver/tlsparams"
)

const (
	// MaxCerts is how many certificates one answer of the control socket lists.
	MaxCerts     = 10_000
	maxCertNames = 100
)

// A Cert is a certificate that a worker serves, by the places of its ports.
type Cert struct {
	control.Certificate
	Places []int
}

// check cleans what a worker says of a certificate.
func (c *Cert) check(ports int) error {
	if len(c.Places) > ports || len(c.Names) > maxCertNames {
		return fmt.Errorf("%d ports and %d names of one", len(c.Places), len(c.Names))
	}
	for _, p := range c.Places {
		if p < 0 || p >= ports {
			return fmt.Errorf("port %d of %d", p, ports)
		}
	}
	for _, s := range []*string{&c.File, &c.Serial, &c.Issuer, &c.Key, &c.Challenge, &c.LastError} {
		*s = Clean(*s, maxText)
	}
	for i := range c.Names {
		c.Names[i] = Clean(c.Names[i], maxText)
	}
	c.Ports = nil // ours to say
	return nil
}

// NameCerts says which ports the certificates of an answer are of, and leaves
// those out whose file is not known, and what follows from the clock to us.
func (a *Answer) NameCerts(ports []string, known func(file string) bool) {
	a.Certs = slices.DeleteFunc(a.Certs, func(c Cert) bool { return c.File != "" && !known(c.File) })
	for i := range a.Certs {
		c := &a.Certs[i]
		c.Ports = []string{}
		for _, p := range c.Places {
			if p < len(ports) { // a process that serves alone has none before it serves
				c.Ports = append(c.Ports, ports[p])
			}
		}
		if c.Names == nil {
			c.Names = []string{}
		}
		c.DaysLeft = float64(time.Until(c.ChainEnd)/time.Minute) / (24 * 60)
	}
}

// CertsPage tells which certificates ports serve that speak ts; those below the
// directory acme the server has ordered itself, by a challenge.
func CertsPage(ts []proto.Transport, acme, challenge string, q Ask) (a Answer) {
	all := certsOf(ts)
	size := 0
	for i := int(min(q.After, uint64(len(all)))); i < len(all); i++ {
		c := certRow(all[i], acme, challenge)
		b, err := json.Marshal(c)
		if err != nil {
			continue
		}
		if size += len(b); len(a.Certs) == MaxPage || size > maxPageBytes && len(a.Certs) > 0 {
			a.More = true
			break
		}
		a.Certs = append(a.Certs, c)
		a.Count = i + 1
	}
	return a
}

// A servedCert is a certificate with the ports that serve it.
type servedCert struct {
	tlsparams.CertStatus
	places []int
}

// certsOf lists each certificate once, however many ports have it.
func certsOf(ts []proto.Transport) (list []servedCert) {
	at := make(map[string]int)
	for place, t := range ts {
		for _, s := range proto.Sources([]proto.Transport{t}) {
			for _, st := range s.Status() {
				k := st.CertFile + "\x00" + st.Fingerprint
				i, ok := at[k]
				if !ok {
					i = len(list)
					at[k] = i
					list = append(list, servedCert{CertStatus: st})
				}
				if have := list[i].places; len(have) == 0 || have[len(have)-1] != place {
					list[i].places = append(list[i].places, place)
				}
			}
		}
	}
	return list
}

func certRow(s servedCert, acme, challenge string) Cert {
	leaf := s.Leaf
	c := Cert{Places: s.places, Certificate: control.Certificate{
		File: s.CertFile, Names: namesOf(leaf), Serial: leaf.SerialNumber.Text(16), Issuer: ShortName(leaf.Issuer.String()), Key: keyKind(leaf),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, ChainEnd: s.ChainExpires, LastError: s.LastError,
		ACME: acme != "" && strings.HasPrefix(filepath.Clean(s.CertFile), filepath.Clean(acme)+string(filepath.Separator)),
	}}
	if c.ACME {
		c.Challenge = challenge
	}
	if !s.ServedSince.IsZero() {
		c.Since = &s.ServedSince
	}
	if !s.LastErrorAt.IsZero() {
		c.LastErrorAt = &s.LastErrorAt
	}
	return c
}

func namesOf(c *x509.Certificate) []string {
	var list []string
	for _, n := range c.DNSNames {
		list = append(list, ShortName(n))
	}
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	return list[:min(len(list), maxCertNames)]
}

// keyKind names the kind of a certificate's key.
func keyKind(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}
