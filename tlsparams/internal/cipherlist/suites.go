package cipherlist

import (
	"crypto/tls"
	"strings"
)

// A suite is one of TLS 1.2 and older that crypto/tls and OpenSSL share.
type suite struct {
	name string // OpenSSL's
	id   uint16
	bits int
	tags string // the keywords that select it, beside its name
}

const (
	ecdsa  = " aECDSA ECDSA"
	rsa    = " aRSA"
	ecdhe  = " ECDHE EECDH kECDHE kEECDH ECDH"
	krsa   = " kRSA RSA aRSA"
	every  = " ALL HIGH"
	gcm    = " AES AESGCM FIPS TLSv1.2"
	chacha = " CHACHA20 TLSv1.2"
	cbc256 = " AES CBC SHA256 FIPS TLSv1.2"
	cbc1   = " AES CBC SHA SHA1 FIPS"
)

// suites returns the suites in the order of OpenSSL's DEFAULT.
func suites() []suite {
	return []suite{
		{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, 256, "AES256" + gcm + ecdsa + ecdhe + every},
		{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, 256, "AES256" + gcm + rsa + ecdhe + every},
		{"ECDHE-ECDSA-CHACHA20-POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, 256, chacha + ecdsa + ecdhe + every},
		{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, 256, chacha + rsa + ecdhe + every},
		{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, 128, "AES128" + gcm + ecdsa + ecdhe + every},
		{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 128, "AES128" + gcm + rsa + ecdhe + every},
		{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, 128, "AES128" + cbc256 + ecdsa + ecdhe + every},
		{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, 128, "AES128" + cbc256 + rsa + ecdhe + every},
		{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, 256, "AES256 TLSv1 TLSv1.0" + cbc1 + ecdsa + ecdhe + every},
		{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, 256, "AES256 TLSv1 TLSv1.0" + cbc1 + rsa + ecdhe + every},
		{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, 128, "AES128 TLSv1 TLSv1.0" + cbc1 + ecdsa + ecdhe + every},
		{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, 128, "AES128 TLSv1 TLSv1.0" + cbc1 + rsa + ecdhe + every},
		{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384, 256, "AES256" + gcm + krsa + every},
		{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, 128, "AES128" + gcm + krsa + every},
		{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256, 128, "AES128" + cbc256 + krsa + every},
		{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA, 256, "AES256 SSLv3" + cbc1 + krsa + every},
		{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA, 128, "AES128 SSLv3" + cbc1 + krsa + every},
	}
}

// Name returns OpenSSL's name of a suite, which for TLS 1.3 is the IANA one;
// for a suite that OpenSSL does not have, crypto/tls's.
func Name(id uint16) string {
	for _, s := range suites() {
		if s.id == id {
			return s.name
		}
	}
	return tls.CipherSuiteName(id)
}

// Default returns the suites before TLS 1.3 where no list names others: those
// with forward secrecy, and of them those that encrypt and authenticate in one.
// The others, in CBC mode, have a history of attacks (Lucky 13); only TLS 1.0
// and 1.1 have nothing better, and old adds them for those.
func Default(old bool) []uint16 {
	var ids []uint16
	for _, s := range tls.CipherSuites() {
		aead := strings.Contains(s.Name, "_GCM_") || strings.Contains(s.Name, "_POLY1305")
		if s.SupportedVersions[0] != tls.VersionTLS13 && (aead || old) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
