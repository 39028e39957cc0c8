package proto

import (
	"slices"

	"netserver/tlsparams"
)

// Sources returns what the TLS of ports is made from, each once.
func Sources(ts []Transport) []*tlsparams.Source {
	var list []*tlsparams.Source
	for _, t := range ts {
		if st, ok := t.(Startable); ok {
			t = st.TLS
		}
		s, ok := t.(interface{ Source() *tlsparams.Source })
		if ok && !slices.Contains(list, s.Source()) {
			list = append(list, s.Source())
		}
	}
	return list
}
