package tlsparams

import (
	"fmt"
	"slices"
)

func checkALPN(names []string) string {
	for i, n := range names {
		if n == "" || len(n) > 255 {
			return fmt.Sprintf("has a protocol name of %d bytes; 1 to 255 are possible", len(n))
		}
		if slices.Contains(names[:i], n) {
			return "names " + quote(n) + " twice"
		}
	}
	return ""
}

// pickALPN returns the client's first choice that is in ours, or "". crypto/tls
// would take the server's first choice, and end the handshake if there is none.
func pickALPN(ours, clients []string) string {
	for _, c := range clients {
		if slices.Contains(ours, c) {
			return c
		}
	}
	return ""
}
