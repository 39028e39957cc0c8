package protocol

import (
	"crypto/tls"
	"slices"
	"strings"
)

// ParseCurves reads SSL_ecdh_curve: names joined by ':', or "auto". nil means
// crypto/tls's own choice.
func ParseCurves(text string) ([]tls.CurveID, string) {
	if text == "" || text == "auto" {
		return nil, ""
	}
	var ids []tls.CurveID
	for _, name := range strings.Split(text, ":") {
		id, reason := curveID(name)
		if reason != "" {
			return nil, reason
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, ""
}

func curveID(name string) (tls.CurveID, string) {
	switch name {
	case "P-256", "prime256v1", "secp256r1":
		return tls.CurveP256, ""
	case "P-384", "secp384r1":
		return tls.CurveP384, ""
	case "P-521", "secp521r1":
		return tls.CurveP521, ""
	case "X25519", "x25519":
		return tls.X25519, ""
	case "X25519MLKEM768":
		return tls.X25519MLKEM768, ""
	case "SecP256r1MLKEM768":
		return tls.SecP256r1MLKEM768, ""
	case "SecP384r1MLKEM1024":
		return tls.SecP384r1MLKEM1024, ""
	case "X448", "x448", "secp256k1", "MLKEM512", "MLKEM768", "MLKEM1024":
		return 0, "names " + name + ", which is not possible with Go's crypto/tls; use X25519, P-256, P-384, P-521 or X25519MLKEM768"
	}
	if strings.HasPrefix(name, "ffdhe") || strings.HasPrefix(name, "brainpool") {
		return 0, "names " + Quote(name) + ", which is not possible with Go's crypto/tls; use X25519, P-256, P-384, P-521 or X25519MLKEM768"
	}
	return 0, "names no group with " + Quote(name) + "; groups are X25519, P-256, P-384, P-521, X25519MLKEM768, SecP256r1MLKEM768 and SecP384r1MLKEM1024, or auto alone"
}

// OnlyTLS13 tells whether no group of ids works before TLS 1.3.
func OnlyTLS13(ids []tls.CurveID) bool {
	for _, id := range ids {
		switch id {
		case tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024:
		default:
			return false
		}
	}
	return len(ids) > 0
}
