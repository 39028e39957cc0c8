package protocol

import (
	"fmt"
	"slices"
)

// CheckALPN returns why names are no list of protocols, or "".
func CheckALPN(names []string) string {
	for i, n := range names {
		if n == "" || len(n) > 255 {
			return fmt.Sprintf("has a protocol name of %d bytes; 1 to 255 are possible", len(n))
		}
		if slices.Contains(names[:i], n) {
			return "names " + Quote(n) + " twice"
		}
	}
	return ""
}

// PickALPN returns the client's first choice that is in ours, where crypto/tls
// would take the server's first choice. disjoint tells that both have named
// protocols and none is common to them: crypto/tls, given all of ours, then
// answers as RFC 7301 says, with the alert no_application_protocol.
func PickALPN(ours, clients []string) (common string, disjoint bool) {
	for _, c := range clients {
		if slices.Contains(ours, c) {
			return c, false
		}
	}
	return "", len(ours) > 0 && len(clients) > 0
}
