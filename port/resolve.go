package port

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"netserver/conf"
)

// An Input holds everything a configuration says about ports. The zero Input
// is the default port on every address.
type Input struct {
	// Ports are the entries, in order. If empty, DefaultPort is used.
	Ports []Entry
	// Hosts, Protos and IPvs are defaults for entries that name no such part,
	// paired with Ports by position. The last of a short list is used for all
	// further entries, so one value is enough for all.
	Hosts, Protos, IPvs []conf.Value
	// UnixType is the default of unix entries: sock_stream or sock_dgram.
	UnixType conf.Value
	// DefaultPort is the entry used if Ports is empty. "" means 20203, with a
	// Note.
	DefaultPort string
	// EnvIPv is the environment's IPV, used if nothing else names a family.
	EnvIPv string
	// NoIPv6 says that the environment's NO_IPV6 is set: the wildcard is
	// 0.0.0.0 only. Entries that request IPv6 still get it.
	NoIPv6 bool
}

// An Entry is a port as given: a text, or the keys of a [[listen]] block, of
// which port, host, proto and ipv make the specification and all others go to
// Params. A block may name several ports, each with the host and proto at its
// position or the last one; a list of ipv for one port means all of them.
type Entry struct {
	Text   string
	Params conf.Values // of an entry given as a text: the port's own keys
	Map    conf.Values // used instead of Text if not nil
	Origin conf.Origin
}

// Texts makes one entry of each value.
func Texts(vals []conf.Value) []Entry {
	out := make([]Entry, len(vals))
	for i, v := range vals {
		out[i] = Entry{Text: v.Text, Origin: v.Origin}
	}
	return out
}

// A Note is a log line, at Net::Server's level 2, on how an entry was
// interpreted.
type Note struct {
	Text   string
	Origin conf.Origin // of the entry
}

// defaultPort is the port if none is configured.
const defaultPort = "20203"

// Resolve reads all entries and looks up names where necessary: for IPv "*" a
// host becomes its addresses and a service its number; entries that name a
// family keep both until the port is opened. The rows are in the order of the
// entries, without duplicates. Port 0 stays 0 in every row of an entry; the
// opener gives all of them the same number.
//
// r looks names up; nil is System. The error joins an *Error for every bad
// entry; then there are no rows, only the notes of the good entries.
func Resolve(ctx context.Context, in Input, r Resolver) ([]Spec, []Note, error) {
	run := resolution{ctx: ctx, r: orSystem(r), noIPv6: in.NoIPv6, seen: map[rowKey]Spec{}}
	entries := in.Ports
	if len(entries) == 0 {
		port := in.DefaultPort
		if port == "" {
			port = defaultPort
			run.note(conf.Origin{}, "Port Not Defined.  Defaulting to '"+port+"'")
		}
		entries = []Entry{{Text: port}}
	}
	entries, errs := flatten(entries)
	for i, e := range entries {
		err := run.add(e, defaults{
			host:     at(in.Hosts, i),
			proto:    at(in.Protos, i),
			ipv:      at(in.IPvs, i),
			envIPv:   in.EnvIPv,
			unixType: in.UnixType,
		})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, run.notes, err
	}
	if len(run.rows) == 0 {
		return nil, run.notes, failf(conf.Origin{}, "No valid socket parameters found")
	}
	return run.rows, run.notes, nil
}

// at returns the value that applies to entry i.
func at(vals []conf.Value, i int) conf.Value {
	if len(vals) == 0 {
		return conf.Value{}
	}
	return vals[min(i, len(vals)-1)]
}

// A resolution is the state of one call of Resolve.
type resolution struct {
	ctx    context.Context
	r      Resolver
	noIPv6 bool
	rows   []Spec
	notes  []Note
	seen   map[rowKey]Spec
}

// Rows with equal rowKeys are duplicates.
type rowKey struct{ host, port, proto, ipv string }

func (run *resolution) note(o conf.Origin, text string) {
	run.notes = append(run.notes, Note{Text: text, Origin: o})
}

func (run *resolution) add(e Entry, d defaults) error {
	specs, err := parseEntry(e, d)
	if err != nil {
		return err
	}
	for _, s := range specs {
		rows := []Spec{s}
		if s.IPv == "*" && !s.IsUnix() {
			rows, err = run.expand(s)
		} else {
			err = run.checkService(s)
		}
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := run.keep(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep adds a row unless it is a duplicate.
func (run *resolution) keep(s Spec) error {
	key := rowKey{s.Host, s.Port, canonical(s.Proto), s.IPv}
	first, dup := run.seen[key]
	if !dup || s.Port == "0" {
		run.seen[key] = s
		run.rows = append(run.rows, s)
		return nil
	}
	if !sameParams(first.Params, s.Params) {
		return failf(s.Origin, "Duplicate configuration (%s) on [%s]:%s with IPv%s and different settings: give the port once", strings.ToUpper(s.Proto), s.Host, s.Port, s.IPv)
	}
	run.note(s.Origin, "Duplicate configuration ("+strings.ToUpper(s.Proto)+") on ["+s.Host+"]:"+s.Port+" with IPv"+s.IPv+") - skipping")
	return nil
}

func sameParams(a, b conf.Values) bool {
	return maps.EqualFunc(a, b, func(x, y []conf.Value) bool {
		return slices.EqualFunc(x, y, func(v, w conf.Value) bool { return v.Name == w.Name && v.Text == w.Text })
	})
}

// checkService refuses a service, kept for a later look-up, that no protocol
// has. One that another protocol has is left to the opener of the port, as in
// Net::Server.
func (run *resolution) checkService(s Spec) error {
	if s.IsUnix() || reDigits.MatchString(s.Port) {
		return nil
	}
	_, err := lookupPort(run.ctx, run.r, TCP, s.Port)
	if err == nil {
		return nil
	}
	if _, err := lookupPort(run.ctx, run.r, UDP, s.Port); err == nil {
		return nil
	}
	return failf(s.Origin, "Could not determine port number from host [%s]:%s: %w", s.Host, s.Port, err)
}

// expand looks up a row whose family follows from its addresses.
func (run *resolution) expand(s Spec) ([]Spec, error) {
	if !isDualStack(run.r) {
		// Without IPv6, Net::Server treats such an entry as IPv4.
		if err := run.checkService(s); err != nil {
			return nil, err
		}
		return s.families(conf.Value{Text: "4"})
	}
	n := s.Port
	if !reDigits.MatchString(n) {
		num, err := s.PortNumber(run.ctx, run.r)
		if err != nil {
			return nil, err
		}
		n = strconv.Itoa(num)
	}
	addrs, err := run.addresses(s)
	if err != nil {
		return nil, err
	}
	both := slices.Contains(addrs, netip.IPv4Unspecified()) && slices.Contains(addrs, netip.IPv6Unspecified())
	var rows []Spec
	for _, a := range addrs {
		row, why := s, ""
		row.Host, row.Port, row.IPv, row.Params = formatAddr(a), n, "6", maps.Clone(s.Params)
		if a.Is4() {
			row.IPv = "4"
		}
		switch {
		case !both || !a.IsUnspecified():
		case a.Is4() && !run.noIPv6 || a.Is6() && run.noIPv6:
			continue
		case a.Is6():
			row.IPv = "*"
			why = "Not including resolved host [0.0.0.0] IPv4 because it will be handled by [::] IPv6"
		default:
			why = "Host [" + s.Host + "] resolved to IPv6 address [::] but NO_IPV6 is set"
		}
		if row.Host != s.Host || row.Port != s.Port {
			run.note(s.Origin, "Resolved ["+s.Host+"]:"+s.Port+" to ["+row.Host+"]:"+row.Port+", IPv"+row.IPv)
		}
		if why != "" {
			run.note(s.Origin, why)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// addresses returns the addresses of the host of s.
func (run *resolution) addresses(s Spec) ([]netip.Addr, error) {
	if s.Host == "*" || s.Host == "0" { // Net::Server's lookup treats 0 as no host
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, nil
	}
	if isQuad(s.Host) {
		if a, ok := parseIPv4(s.Host); ok {
			return []netip.Addr{a}, nil
		}
		return nil, failf(s.Origin, "Unresolveable host [%s]:%s: invalid ip", s.Host, s.Port)
	}
	addrs, err := lookupHost(run.ctx, run.r, s.Host)
	if err != nil {
		return nil, failf(s.Origin, "Unresolveable [%s]:%s: %w", s.Host, s.Port, err)
	}
	if len(addrs) == 0 {
		return nil, failf(s.Origin, "Could not find valid addresses for [%s]:%s with ipv set to '*'", s.Host, s.Port)
	}
	return addrs, nil
}
