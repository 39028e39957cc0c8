package tlsparams

import "crypto/tls"

// choice is what has to be settled for each client because a tls.Config cannot
// express it: the protocol by the client's preference, and the version where
// the allowed ones have a hole.
type choice struct {
	alpn    string
	version uint16 // 0: between the set's ends
}

// variants holds a ready *tls.Config for each choice, so that no handshake
// makes one.
type variants map[choice]*tls.Config

func newConfig(cert *tls.Certificate, vs versions, alpn []string) *tls.Config {
	base := &tls.Config{
		Certificates: []tls.Certificate{*cert},
		MinVersion:   vs.min(),
		MaxVersion:   vs.max(),
	}
	if len(alpn) == 0 && !vs.hole() {
		return base
	}
	only := []uint16{0}
	if vs.hole() {
		only = nil
		for v := vs.min(); v <= vs.max(); v++ {
			if vs.has(v) {
				only = append(only, v)
			}
		}
	}
	all := make(variants)
	for _, v := range only {
		for _, proto := range append([]string{""}, alpn...) {
			c := base.Clone()
			if proto != "" {
				c.NextProtos = []string{proto}
			}
			if v != 0 {
				c.MinVersion, c.MaxVersion = v, v
			}
			all[choice{proto, v}] = c
		}
	}
	hole := vs.hole()
	base.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		ch := choice{alpn: pickALPN(alpn, hello.SupportedProtos)}
		if hole {
			// A client with none in common gets one that it does not speak,
			// and so the right alert; base would let it use the hole.
			if ch.version = vs.best(hello.SupportedVersions); ch.version == 0 {
				ch.version = vs.max()
			}
		}
		return all[ch], nil
	}
	return base
}
