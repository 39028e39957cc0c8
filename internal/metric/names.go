package metric

import (
	"crypto/tls"
	"slices"
)

// Other stands for what has no name here.
const Other = "other"

// None is the group of a handshake without one.
const None = "none"

// versions, groups and suites are the names that labels can have: fixed, so that
// no client and no worker can make up another.
func versions() []string {
	return []string{"TLS 1.3", "TLS 1.2", "TLS 1.1", "TLS 1.0", Other}
}

// groupIDs are the groups of crypto/tls.
func groupIDs() []tls.CurveID {
	return []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
}

func groups() []string {
	var list []string
	for _, id := range groupIDs() {
		list = append(list, id.String())
	}
	return append(list, None, Other)
}

func suites() []string {
	var list []string
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		list = append(list, s.Name)
	}
	return append(list, Other)
}

func versionName(v uint16) string { return known(tls.VersionName(v), versions()) }
func suiteName(id uint16) string  { return known(SuiteName(id), suites()) }

// SuiteName is tls.CipherSuiteName, which makes lists of all suites each time,
// for what is done for each client. Those that clients agree on are known here.
func SuiteName(id uint16) string {
	switch id {
	case tls.TLS_AES_128_GCM_SHA256:
		return "TLS_AES_128_GCM_SHA256"
	case tls.TLS_AES_256_GCM_SHA384:
		return "TLS_AES_256_GCM_SHA384"
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		return "TLS_CHACHA20_POLY1305_SHA256"
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
		return "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
	case tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:
		return "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
	case tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
	case tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:
		return "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
	case tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:
		return "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
	case tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
	}
	return tls.CipherSuiteName(id)
}

func groupName(id uint16) string {
	if id == 0 {
		return None
	}
	return known(tls.CurveID(id).String(), groups())
}

func known(name string, list []string) string {
	if slices.Contains(list, name) {
		return name
	}
	return Other
}
