package proto

import (
	"reflect"
	"slices"

	"netserver/tlsparams"
)

// Sources returns the Sources of Transports, each once: those of Sourced ones,
// and those by which clients of plain ports can start TLS.
func Sources(ts []Transport) []*tlsparams.Source {
	var list []*tlsparams.Source
	for _, t := range ts {
		if s := sourceOf(t); s != nil && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

func sourceOf(t Transport) *tlsparams.Source {
	if st, ok := t.(Startable); ok {
		t = st.TLS
	}
	if s, ok := t.(Sourced); ok {
		return s.Source()
	}
	return nil
}

// Runners returns those of the Transports that are Runners. A Transport that
// serves several ports is there once, and so is a Source that several share:
// the first of them does its work.
func Runners(ts []Transport) []Runner {
	var list []Runner
	var sources []*tlsparams.Source
	for _, t := range ts {
		r, ok := t.(Runner)
		if !ok || slices.ContainsFunc(list, func(o Runner) bool { return same(o, r) }) {
			continue
		}
		if s := sourceOf(t); s != nil {
			if slices.Contains(sources, s) {
				continue
			}
			sources = append(sources, s)
		}
		list = append(list, r)
	}
	return list
}

// same compares what may be of types that cannot be compared.
func same(a, b Runner) bool { return reflect.ValueOf(a).Comparable() && a == b }
