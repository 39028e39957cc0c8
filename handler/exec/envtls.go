package exec

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxNames bounds the alternative names of one kind that are passed on.
const maxNames = 16

// tls sets the variables of a TLS client.
func (v *vars) tls(s *tls.ConnectionState) {
	v.set("SSL_PROTOCOL", protocolName(s.Version))
	v.set("SSL_CIPHER", cipherName(s.CipherSuite))
	v.set("SSL_TLS_SNI", s.ServerName)
	if s.DidResume {
		v.set("SSL_SESSION_RESUMED", "Resumed")
	} else {
		v.set("SSL_SESSION_RESUMED", "Initial")
	}
	if len(s.PeerCertificates) == 0 {
		v.set("SSL_CLIENT_VERIFY", "NONE")
		return
	}
	cert := s.PeerCertificates[0]
	sum := sha256.Sum256(cert.Raw)
	v.set("SSL_PEER_CERT_HASH", "SHA256:"+hex.EncodeToString(sum[:]))
	if len(s.VerifiedChains) == 0 {
		// Anybody can write any name into such a certificate; only the hash
		// proves something, a key that the client has.
		v.set("SSL_CLIENT_VERIFY", "GENEROUS")
		return
	}
	v.set("SSL_CLIENT_VERIFY", "SUCCESS")
	v.certificate(cert)
}

// certificate sets the variables of a verified client certificate.
func (v *vars) certificate(cert *x509.Certificate) {
	v.set("SSL_CLIENT_S_DN", cert.Subject.String())
	v.set("SSL_CLIENT_S_DN_CN", cert.Subject.CommonName)
	v.set("SSL_CLIENT_I_DN", cert.Issuer.String())
	v.set("SSL_CLIENT_I_DN_CN", cert.Issuer.CommonName)
	v.set("SSL_CLIENT_M_VERSION", strconv.Itoa(cert.Version))
	v.set("SSL_CLIENT_M_SERIAL", fmt.Sprintf("%X", cert.SerialNumber.Bytes()))
	v.set("SSL_CLIENT_V_START", opensslTime(cert.NotBefore))
	v.set("SSL_CLIENT_V_END", opensslTime(cert.NotAfter))
	v.list("SSL_CLIENT_SAN_DNS_", cert.DNSNames)
	v.list("SSL_CLIENT_SAN_Email_", cert.EmailAddresses)
}

func (v *vars) list(prefix string, values []string) {
	for i, s := range values[:min(len(values), maxNames)] {
		v.set(prefix+strconv.Itoa(i), s)
	}
}

// opensslTime formats t like OpenSSL and mod_ssl.
func opensslTime(t time.Time) string { return t.UTC().Format("Jan _2 15:04:05 2006 GMT") }

// protocolName returns OpenSSL's name of a TLS version.
func protocolName(version uint16) string {
	switch version {
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13:
		return strings.Replace(tls.VersionName(version), "TLS ", "TLSv", 1)
	default:
		return "UNKNOWN"
	}
}

// cipherName returns OpenSSL's name of a cipher suite, which programs expect.
// For TLS 1.3 it is the standard's own name.
func cipherName(suite uint16) string {
	name := tls.CipherSuiteName(suite)
	exchange, cipher, ok := strings.Cut(strings.TrimPrefix(name, "TLS_"), "_WITH_")
	if !ok {
		return name
	}
	// TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is ECDHE-RSA-AES128-GCM-SHA256,
	// and OpenSSL omits defaults: RSA key exchange, CBC, and the hash of
	// CHACHA20-POLY1305.
	cipher = opensslCipher.Replace(cipher)
	if exchange == "RSA" {
		return cipher
	}
	return strings.ReplaceAll(exchange, "_", "-") + "-" + cipher
}

var opensslCipher = strings.NewReplacer(
	"AES_128_CBC", "AES128", "AES_256_CBC", "AES256",
	"AES_128", "AES128", "AES_256", "AES256",
	"3DES_EDE_CBC", "DES-CBC3", "RC4_128", "RC4",
	"CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305",
	"_", "-",
)
