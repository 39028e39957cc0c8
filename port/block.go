package port

import (
	"maps"

	"netserver/conf"
)

// flatten makes one entry for each port of each map, so that one [[listen]]
// block may name several. Within a map, hosts and protos are paired with the
// ports by position, as in the lists of an Input, but one without a port is
// refused: in a block it is given next to the ports it was meant for.
func flatten(entries []Entry) ([]Entry, []error) {
	var out []Entry
	var errs []error
	for _, e := range entries {
		ports := e.Map["port"]
		if err := checkBlock(e, max(1, len(ports))); err != nil {
			errs = append(errs, err)
			continue
		}
		if len(ports) <= 1 {
			out = append(out, e)
			continue
		}
		for i, p := range ports {
			m := maps.Clone(e.Map)
			m["port"] = []conf.Value{p}
			for _, key := range []string{"host", "proto"} {
				if len(m[key]) > 1 {
					m[key] = []conf.Value{at(m[key], i)}
				}
			}
			out = append(out, Entry{Map: m, Origin: e.Origin})
		}
	}
	return out, errs
}

// checkBlock refuses lists in a map that do not fit its n ports.
func checkBlock(e Entry, n int) error {
	for _, key := range []string{"host", "proto"} {
		if vals := e.Map[key]; len(vals) > n {
			return failf(originOf(e.Map, key, e.Origin), "Found multiple values on the configuration item %q which expects only one value for each port: %d for %d; give further ones an entry each", key, len(vals), n)
		}
	}
	// With one port, all families are for it; with more, it is ambiguous.
	if vals := e.Map["ipv"]; n > 1 && len(vals) > 1 {
		return failf(originOf(e.Map, "ipv", e.Origin), `Found multiple values on the configuration item "ipv" which expects only one value for several ports: write "IPv4 IPv6" for both, or give each port an entry`)
	}
	return nil
}
