package tlsparams

import (
	"path/filepath"
	"strconv"

	"netserver/tlsparams/internal/revoke"
	"netserver/tlsparams/internal/trust"
)

// A VerifyMode says whether clients are asked for a certificate. The numbers
// are those of SSL_verify_mode, but for VerifyNone: zero is what is not set.
// Other numbers than these are refused.
type VerifyMode int

const (
	VerifyDefault  VerifyMode = 0  // VerifyNone; for an SNI name: as the port
	VerifyOptional VerifyMode = 1  // SSL_verify_mode 1: one that is sent is judged
	VerifyRequired VerifyMode = 3  // SSL_verify_mode 3
	VerifyNone     VerifyMode = -1 // SSL_verify_mode 0, for an SNI name too whose port asks
)

// Client says who may come in by certificate.
type Client struct {
	VerifyMode       VerifyMode // SSL_verify_mode
	CAFiles          []string   // SSL_ca_file; with CAPath none: the system's authorities
	CAPath           []string   // SSL_ca_path: directories of certificates (and revocation lists)
	ClientCAFile     string     // SSL_client_ca_file: authorities named to clients instead of those above
	Fingerprints     []string   // SSL_fingerprint: [algo$][pub$]HEX; a match accepts whatever the chain says
	ForceFingerprint bool       // SSL_force_fingerprint: no match denies

	CheckCRL  string   // SSL_check_crl: "", "0", "1" (the client's certificate), "chain" (its authorities too)
	CRLFiles  []string // SSL_crl_file
	CRLPath   []string // SSL_crl_path
	CRLPolicy string   // SSL_crl_policy: "" or "closed", "expired", "open"

	OCSP          string // SSL_ocsp_check: "", "off", "soft" (no answer passes), "hard"
	OCSPResponder string // SSL_ocsp_responder: asked instead of the one in the certificate

	AllowCN    []string // SSL_allow_cn; a certificate that matches any entry of any allow list may come
	AllowOU    []string // SSL_allow_ou
	AllowDNS   []string // SSL_allow_dns
	AllowEmail []string // SSL_allow_email
	AllowIP    []string // SSL_allow_ip
	AllowURI   []string // SSL_allow_uri
	AllowSPKI  []string // SSL_allow_spki
	AllowFiles []string // SSL_allow_file: more of these and of Fingerprints, followed while running
}

// over returns c with what it does not set taken from port.
func (c Client) over(port Client) Client {
	if c.VerifyMode == VerifyDefault {
		c.VerifyMode = port.VerifyMode
	}
	if len(c.CAFiles)+len(c.CAPath) == 0 {
		c.CAFiles, c.CAPath = port.CAFiles, port.CAPath
	}
	text := func(a *string, b string) {
		if *a == "" {
			*a = b
		}
	}
	text(&c.ClientCAFile, port.ClientCAFile)
	text(&c.CheckCRL, port.CheckCRL)
	text(&c.CRLPolicy, port.CRLPolicy)
	text(&c.OCSP, port.OCSP)
	text(&c.OCSPResponder, port.OCSPResponder)
	if len(c.CRLFiles)+len(c.CRLPath) == 0 {
		c.CRLFiles, c.CRLPath = port.CRLFiles, port.CRLPath
	}
	if len(c.Fingerprints) == 0 {
		c.Fingerprints = port.Fingerprints
	}
	c.ForceFingerprint = c.ForceFingerprint || port.ForceFingerprint
	if !c.anyAllow() {
		c.AllowCN, c.AllowOU, c.AllowDNS, c.AllowEmail = port.AllowCN, port.AllowOU, port.AllowDNS, port.AllowEmail
		c.AllowIP, c.AllowURI, c.AllowSPKI = port.AllowIP, port.AllowURI, port.AllowSPKI
		c.AllowFiles = port.AllowFiles
	}
	return c
}

// allow returns the allow lists by kind; the key is SSL_allow_ and the kind.
func (c *Client) allow(k trust.Kind) *[]string {
	switch k {
	case trust.KindCN:
		return &c.AllowCN
	case trust.KindOU:
		return &c.AllowOU
	case trust.KindDNS:
		return &c.AllowDNS
	case trust.KindEmail:
		return &c.AllowEmail
	case trust.KindIP:
		return &c.AllowIP
	case trust.KindURI:
		return &c.AllowURI
	default:
		return &c.AllowSPKI
	}
}

func (c *Client) anyAllow() bool {
	for _, k := range trust.Kinds() {
		if len(*c.allow(k)) > 0 {
			return true
		}
	}
	return len(c.AllowFiles) > 0
}

// needless returns a key that is given although no certificate is asked for,
// and so would be ignored.
func (c *Client) needless() string {
	switch {
	case len(c.CAFiles) > 0:
		return "SSL_ca_file"
	case len(c.CAPath) > 0:
		return "SSL_ca_path"
	case c.ClientCAFile != "":
		return "SSL_client_ca_file"
	case len(c.Fingerprints) > 0:
		return "SSL_fingerprint"
	case c.ForceFingerprint:
		return "SSL_force_fingerprint"
	case len(c.CRLFiles) > 0:
		return "SSL_crl_file"
	case len(c.CRLPath) > 0:
		return "SSL_crl_path"
	case c.crlScope() != "":
		return "SSL_check_crl"
	case c.CRLPolicy != "":
		return "SSL_crl_policy"
	case c.OCSP != "" && c.OCSP != "off":
		return "SSL_ocsp_check"
	case c.OCSPResponder != "":
		return "SSL_ocsp_responder"
	case len(c.AllowFiles) > 0:
		return "SSL_allow_file"
	}
	for _, k := range trust.Kinds() {
		if len(*c.allow(k)) > 0 {
			return "SSL_allow_" + string(k)
		}
	}
	return ""
}

func (c *Client) crlScope() string {
	if c.CheckCRL == "0" {
		return ""
	}
	return c.CheckCRL
}

// parseVerifyMode reads the number of §SSL_verify_mode: bit 1 asks, bit 2 with
// it requires, bit 4 means nothing more here.
func parseVerifyMode(list []string) (VerifyMode, string) {
	n, err := strconv.Atoi(list[len(list)-1])
	if err != nil || n < 0 || n > 7 {
		return 0, "must be a number: 0 asks for no client certificate, 1 verifies one that is sent, 3 requires one"
	}
	switch {
	case n == 0:
		return VerifyNone, ""
	case n&1 == 0:
		return 0, "asks for no certificate, as bit 1 is missing: write 3 to require one, or 0 to ask for none"
	case n&2 == 0:
		return VerifyOptional, ""
	}
	return VerifyRequired, ""
}

func parsePins(list []string) ([]string, string) {
	list = words(list)
	for _, t := range list {
		if _, err := trust.ParsePin(t); err != nil {
			return nil, "has an entry that is wrong: " + err.Error()
		}
	}
	return list, ""
}

func parseCheckCRL(list []string) (string, string) {
	switch t := list[len(list)-1]; t {
	case "0", "off", "no":
		return "0", ""
	case "1", "leaf", "yes":
		return "1", ""
	case "2", "chain":
		return "chain", ""
	}
	return "", "must be 0, 1 (the client's certificate) or chain (its authorities too)"
}

func crlPolicy(text string) (revoke.Policy, string) {
	switch text {
	case "", "closed":
		return revoke.Closed, ""
	case "expired":
		return revoke.Expired, ""
	case "open":
		return revoke.Open, ""
	}
	return 0, "must be closed (no list or an expired one denies), expired (an expired one counts) or open"
}

func parseCRLPolicy(list []string) (string, string) {
	t := list[len(list)-1]
	_, reason := crlPolicy(t)
	return t, reason
}

func parseOCSP(list []string) (string, string) {
	switch t := list[len(list)-1]; t {
	case "off", "soft", "hard":
		return t, ""
	}
	return "", "must be off, soft (no answer passes) or hard (no answer denies)"
}

// parseAllow checks the entries of one allow list. Names of people and units
// may hold blanks and commas, so only the others are split.
func parseAllow(k trust.Kind) func([]string) ([]string, string) {
	return func(list []string) ([]string, string) {
		if k != trust.KindCN && k != trust.KindOU && k != trust.KindURI {
			list = words(list)
		}
		var a trust.Allow
		for _, t := range list {
			if err := a.Add(k, t); err != nil {
				return nil, err.Error()
			}
		}
		return list, ""
	}
}

func splitPathList(t string) []string { return filepath.SplitList(t) }
