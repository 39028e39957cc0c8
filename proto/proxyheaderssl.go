package proto

import (
	"crypto/tls"
	"encoding/binary"
	"strings"

	"netserver/tlsparams"
)

// A ProxySSL is what the sender tells of its TLS connection with the client.
// Texts are empty where it tells nothing.
type ProxySSL struct {
	// TLS is set if the client spoke TLS with the sender.
	TLS bool
	// Certificate is set if the client showed a certificate, in this
	// connection or in the session that it resumed.
	Certificate bool
	// Resumed is set if the client showed it in the session only.
	Resumed bool
	// Verified is set if it showed one and the sender found it good.
	Verified bool

	Version   string // "TLSv1.3"
	CN        string // the common name in the client's certificate
	Cipher    string // "TLS_AES_128_GCM_SHA256"
	SigAlg    string // of the sender's certificate: "RSA-SHA256"
	KeyAlg    string // of the sender's certificate: "RSA2048"
	Group     string // of the key exchange: "secp256r1"
	SigScheme string // by which the sender signed the handshake: "rsa_pss_rsae_sha256"

	ClientCert []byte // the client's certificate, DER; nil if it is not passed on
}

// The bits of the first byte of a ProxyTLVSSL entry, and the types of the
// entries in it.
const (
	sslTLS      = 0x01
	sslCertConn = 0x02
	sslCertSess = 0x04

	sslVersion    = 0x21
	sslCN         = 0x22
	sslCipher     = 0x23
	sslSigAlg     = 0x24
	sslKeyAlg     = 0x25
	sslGroup      = 0x26
	sslSigScheme  = 0x27
	sslClientCert = 0x28

	sslFixed = 5 // bytes before the entries
)

// notVerified is what stands in an entry whose sender has not found a
// certificate good; OpenSSL's X509_V_ERR_UNSPECIFIED.
const notVerified = 1

// An sslText is the place of a text.
type sslText struct {
	kind byte
	text *string
}

// texts returns the places of the texts of s, in the order in which HAProxy
// writes them.
func (s *ProxySSL) texts() [7]sslText {
	return [...]sslText{
		{sslVersion, &s.Version}, {sslCN, &s.CN}, {sslKeyAlg, &s.KeyAlg}, {sslSigAlg, &s.SigAlg},
		{sslCipher, &s.Cipher}, {sslGroup, &s.Group}, {sslSigScheme, &s.SigScheme},
	}
}

// SSL returns what the sender tells of its TLS connection with the client, nil
// if nothing.
func (h *ProxyHeader) SSL() *ProxySSL {
	v, ok := h.TLV(ProxyTLVSSL)
	if !ok {
		return nil
	}
	s := &ProxySSL{TLS: v[0]&sslTLS != 0, Certificate: v[0]&(sslCertConn|sslCertSess) != 0}
	s.Resumed = v[0]&(sslCertConn|sslCertSess) == sslCertSess
	// Senders also write 0, for good, where there is no certificate.
	s.Verified = s.Certificate && binary.BigEndian.Uint32(v[1:]) == 0
	for _, f := range s.texts() {
		v, _ := findTLV(v[sslFixed:], f.kind)
		*f.text = string(v)
	}
	s.ClientCert, _ = findTLV(v[sslFixed:], sslClientCert)
	return s
}

// ProxySSLOf returns what there is to tell of a client's TLS connection, as
// OpenSSL and so HAProxy call it. The client's certificate is Verified if it has
// VerifiedChains; only then its CN is told, since anybody can write any name
// into another one. ClientCert is the certificate all the same, which has only
// proved that the client has its key. SigAlg, KeyAlg and SigScheme are not known.
func ProxySSLOf(cs *tls.ConnectionState) *ProxySSL {
	s := &ProxySSL{
		TLS:     true,
		Version: strings.Replace(tls.VersionName(cs.Version), "TLS ", "TLSv", 1),
		Cipher:  tlsparams.CipherName(cs.CipherSuite),
		Group:   groupName(cs.CurveID),
	}
	if cs.Version == tls.VersionTLS10 {
		s.Version = "TLSv1"
	}
	if len(cs.PeerCertificates) == 0 {
		return s
	}
	cert := cs.PeerCertificates[0]
	s.Certificate, s.Resumed = true, cs.DidResume
	s.ClientCert = cert.Raw
	if len(cs.VerifiedChains) > 0 {
		s.Verified, s.CN = true, cert.Subject.CommonName
	}
	return s
}

// groupName returns IANA's name of a group, which OpenSSL uses too; "" if it is
// not known.
func groupName(id tls.CurveID) string {
	switch id {
	case tls.CurveP256:
		return "secp256r1"
	case tls.CurveP384:
		return "secp384r1"
	case tls.CurveP521:
		return "secp521r1"
	case tls.X25519:
		return "x25519"
	case tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024:
		return id.String()
	}
	return ""
}

// AddSSL adds an entry of the type ProxyTLVSSL. The error is AddTLV's.
func (h *ProxyHeader) AddSSL(s *ProxySSL) error {
	var client byte
	var verify uint32 = notVerified
	if s.TLS {
		client |= sslTLS
	}
	if s.Certificate {
		client |= sslCertSess
		if !s.Resumed {
			client |= sslCertConn
		}
		if s.Verified {
			verify = 0
		}
	}
	b := binary.BigEndian.AppendUint32([]byte{client}, verify)
	var err error
	for _, f := range s.texts() {
		if *f.text != "" && err == nil {
			b, err = appendTLV(b, f.kind, *f.text)
		}
	}
	if len(s.ClientCert) > 0 && err == nil {
		b, err = appendTLV(b, sslClientCert, s.ClientCert)
	}
	if err != nil {
		return err
	}
	return h.AddTLV(ProxyTLVSSL, b)
}
