package port

import "errors"

// Read reads the entries as Resolve does, but without look-ups, for a server
// that opens no port and only needs to know what its client speaks. An empty
// Input gives no rows. The error joins an *Error for every bad entry.
func Read(in Input) ([]Spec, error) {
	entries := in.Ports
	if len(entries) == 0 {
		if len(in.Protos) == 0 {
			return nil, nil
		}
		entries = []Entry{{Text: defaultPort}}
	}
	entries, errs := flatten(entries)
	var rows []Spec
	for i, e := range entries {
		specs, err := parseEntry(e, defaults{host: at(in.Hosts, i), proto: at(in.Protos, i), ipv: at(in.IPvs, i), envIPv: in.EnvIPv, unixType: in.UnixType})
		errs = append(errs, err)
		rows = append(rows, specs...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return rows, nil
}

// SameProtocol reports whether two ports have the same protocol and
// parameters.
func SameProtocol(a, b Spec) bool { return a.Kind() == b.Kind() && sameParams(a.Params, b.Params) }
