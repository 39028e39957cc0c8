package tlsparams

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"slices"
	"strings"
)

// checkCiphersuites checks SSL_ciphersuites. crypto/tls offers its three
// suites of TLS 1.3 always, so a list can only say what is so.
func checkCiphersuites(text string) string {
	given := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(":;, ", r) })
	for _, id := range []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256} {
		if name := tls.CipherSuiteName(id); !slices.Contains(given, name) {
			return "leaves out " + name + ", which is not possible with Go's crypto/tls: it always has all three suites of TLS 1.3; name all, remove the key, or leave TLS 1.3 out with SSL_version"
		}
	}
	return ""
}

// suiteInfo is what the choice of a suite needs to know about it.
type suiteInfo struct {
	id    uint16
	since uint16 // the first version that has it
	ecdhe bool
	ecdsa bool // signed with ECDSA or Ed25519; else RSA
}

func infoOf(ids []uint16) []suiteInfo {
	out := make([]suiteInfo, 0, len(ids))
	all := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
	for _, id := range ids {
		for _, s := range all {
			if s.ID == id {
				out = append(out, suiteInfo{id: id, since: s.SupportedVersions[0],
					ecdhe: strings.HasPrefix(s.Name, "TLS_ECDHE_"), ecdsa: strings.Contains(s.Name, "_ECDSA_")})
			}
		}
	}
	return out
}

// pickSuite returns the suite that a server with its own order, or one that
// follows the client's, uses with TLS 1.2 or older; 0 if none fits. crypto/tls
// has an order of its own, which gives way only if it has a single suite left.
func (g *generation) pickSuite(st *site, hello *tls.ClientHelloInfo, version uint16) uint16 {
	h, ok := g.certs.forHello(hello)
	if !ok {
		return 0
	}
	fits := func(s suiteInfo) bool {
		if version < s.since || s.ecdhe && !g.commonCurve(hello) {
			return false
		}
		for _, sl := range h.slots {
			c := sl.cur.Load()
			if isECDSA(c) == s.ecdsa && (!s.ecdhe || supports(hello, c)) {
				return true
			}
		}
		return false
	}
	if g.clientOrder {
		for _, id := range hello.CipherSuites {
			for _, s := range st.suites {
				if s.id == id && fits(s) {
					return id
				}
			}
		}
		return 0
	}
	for _, s := range st.suites {
		if slices.Contains(hello.CipherSuites, s.id) && fits(s) {
			return s.id
		}
	}
	return 0
}

func (g *generation) commonCurve(hello *tls.ClientHelloInfo) bool {
	ours := g.curves
	if ours == nil {
		ours = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	}
	for _, c := range hello.SupportedCurves {
		if slices.Contains(ours, c) {
			return true
		}
	}
	return false
}

func isECDSA(c *tls.Certificate) bool {
	switch c.Leaf.PublicKey.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// supports asks whether the client can take c, whatever names c is for: the
// table has found it by name already, or by default.
func supports(hello *tls.ClientHelloInfo, c *tls.Certificate) bool {
	h := *hello
	h.ServerName = ""
	return h.SupportsCertificate(c) == nil
}
