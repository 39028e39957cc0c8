package port

import (
	"maps"
	"slices"
	"strings"

	"netserver/conf"
)

// Defaults are the host, protocol and address family for a specification that
// names none. Empty fields mean "*", "tcp" and "*".
type Defaults struct {
	Host  string
	Proto string
	IPv   string
}

// Parse reads one specification without any look-up: names, services and
// wildcards stay as written, and IPv "*" means that the family follows from
// the addresses that Resolve finds. The result is one Spec, or two, IPv6
// before IPv4, if text requests both families. The error is an *Error.
func Parse(text string, d Defaults) ([]Spec, error) {
	return parseEntry(Entry{Text: text}, defaults{
		host:  conf.Value{Text: d.Host},
		proto: conf.Value{Text: d.Proto},
		ipv:   conf.Value{Text: d.IPv},
	})
}

// defaults are the defaults of one entry, with their origins.
type defaults struct {
	host, proto, ipv conf.Value
	envIPv           string
	unixType         conf.Value
}

func parseEntry(e Entry, d defaults) ([]Spec, error) {
	if e.Map != nil {
		return parseMap(e, d)
	}
	p, err := split(e.Text, d.proto.Text, e.Origin)
	if err != nil {
		return nil, err
	}
	return finish(p, e.Params, d, e.Origin)
}

// parseMap reads an entry given as keys. Its port may still be a whole
// specification, unless it is a socket path.
func parseMap(e Entry, d defaults) ([]Spec, error) {
	given := parts{
		host:     strings.Trim(e.Map.Get("host"), blanks),
		port:     strings.Trim(e.Map.Get("port"), blanks),
		proto:    strings.Trim(e.Map.Get("proto"), blanks),
		unixType: e.Map.Get(keyUnixType),
	}
	for _, v := range e.Map["ipv"] {
		given.mapIPv += v.Text
	}
	given.hasHost = given.host != "" && given.host != "0" // "0" is as good as nothing to Net::Server
	if given.port == "" {
		return nil, failf(e.Origin, "Missing port in hashref passed in port argument: give the entry a port, a number or a service name")
	}
	proto := given.proto
	if proto == "" {
		proto = d.proto.Text
	}
	p := given
	if !isUnix(proto) && strings.ContainsAny(given.port, separators) {
		o := originOf(e.Map, "port", e.Origin)
		text, err := split(given.port, proto, o)
		if err != nil {
			return nil, err
		}
		if p, err = join(text, given, o); err != nil {
			return nil, err
		}
	}
	return finish(p, e.Map, d, e.Origin)
}

// join adds the parts given by keys to those in the port's text. A part given
// in both is refused as ambiguous.
func join(text, given parts, o conf.Origin) (parts, error) {
	clash := ""
	switch {
	case text.hasHost && given.hasHost:
		clash = "host"
	case text.proto != "" && given.proto != "":
		clash = "proto"
	case text.ipv != "" && given.mapIPv != "":
		clash = "ipv"
	case text.unixType != "" && given.unixType != "":
		clash = keyUnixType
	}
	if clash != "" {
		return text, failf(o, "Could not determine %s from %q: the entry also has a key %s; give it once", clash, given.port, clash)
	}
	if given.hasHost {
		text.host, text.hasHost = given.host, true
	}
	text.proto += given.proto
	text.mapIPv = given.mapIPv
	text.unixType += given.unixType
	return text, nil
}

// finish completes parts from the defaults, checks them and makes the rows. m
// is the map that the parts come from, or nil.
func finish(p parts, m conf.Values, d defaults, o conf.Origin) ([]Spec, error) {
	host := conf.Value{Text: p.host, Origin: originOf(m, "host", o)}
	if !p.hasHost {
		host = orElse(d.host, o)
	}
	proto := conf.Value{Text: p.proto, Origin: originOf(m, "proto", o)}
	if p.proto == "" {
		proto = orElse(d.proto, o)
	}
	s := Spec{Port: p.port, Origin: o}
	var hostIPv, protoIPv string
	var err error
	if s.Host, hostIPv, err = readHost(host); err != nil {
		return nil, err
	}
	if s.Proto, protoIPv, err = readProto(proto); err != nil {
		return nil, err
	}
	if s.Port == "" {
		s.Port = "0"
	}
	if s.Params, err = params(p, m, s, d.unixType, o); err != nil {
		return nil, err
	}
	if s.IsUnix() {
		s.IPv = "*"
		if err := checkPath(s, originOf(m, "port", o)); err != nil {
			return nil, err
		}
		return []Spec{s}, nil
	}
	if err := checkPort(s, originOf(m, "port", o)); err != nil {
		return nil, err
	}
	if err := checkHost(s, host.Origin); err != nil {
		return nil, err
	}
	// Strongest first, in the order of Net::Server's code, not of its manual.
	return s.families(firstTrue(
		conf.Value{Text: p.mapIPv, Origin: originOf(m, "ipv", o)},
		conf.Value{Text: protoIPv, Origin: proto.Origin},
		conf.Value{Text: hostIPv, Origin: host.Origin},
		conf.Value{Text: p.ipv, Origin: originOf(m, "port", o)},
		d.ipv,
		conf.Value{Text: d.envIPv, Origin: conf.Origin{Source: conf.SourceEnv, File: "IPV"}},
	))
}

// families makes the rows for the families in ipv.
func (s Spec) families(ipv conf.Value) ([]Spec, error) {
	has, err := readIPv(ipv.Text, ipv.Origin)
	if err != nil {
		return nil, err
	}
	row := func(ipv string) Spec {
		r := s
		r.IPv, r.Params = ipv, maps.Clone(s.Params)
		return r
	}
	literal6 := strings.Contains(s.Host, ":")
	switch {
	case has.any:
		return []Spec{row("*")}, nil
	case has.six && has.four && !literal6:
		return []Spec{row("6"), row("4")}, nil
	case has.six || literal6:
		return []Spec{row("6")}, nil
	default:
		return []Spec{row("4")}, nil
	}
}

// params collects one port's own keys: those of its map except the four that
// are fields of Spec, and the unix_type from its text or the settings.
func params(p parts, m conf.Values, s Spec, unixType conf.Value, o conf.Origin) (conf.Values, error) {
	var out conf.Values
	for key, vals := range m {
		switch key {
		case "port", "host", "proto", "ipv":
			continue
		}
		if out == nil {
			out = conf.Values{}
		}
		out[key] = slices.Clone(vals)
	}
	at := originOf(m, keyUnixType, o)
	v := conf.Value{Text: p.unixType, Origin: at}
	if v.Text == "" && canonical(s.Proto) == Unix {
		v = unixType
	}
	if v.Text == "" {
		return out, nil
	}
	if err := checkUnixType(v, s); err != nil {
		return nil, err
	}
	if out == nil {
		out = conf.Values{}
	}
	if isDgram(v.Text) {
		v.Text = sockDgram
	} else {
		v.Text = sockStream
	}
	out[keyUnixType] = []conf.Value{v}
	return out, nil
}

// originOf returns the origin of a key of an entry.
func originOf(m conf.Values, key string, entry conf.Origin) conf.Origin {
	if l := m[key]; len(l) > 0 && l[0].Origin != (conf.Origin{}) {
		return l[0].Origin
	}
	return entry
}

// orElse returns a default without surrounding blanks. An empty one gets the
// entry's origin, so that errors name it.
func orElse(v conf.Value, entry conf.Origin) conf.Value {
	if v.Text = strings.Trim(v.Text, blanks); v.Text == "" {
		v.Origin = entry
	}
	return v
}

// firstTrue returns the first value that Perl takes as true: neither empty nor
// "0".
func firstTrue(vals ...conf.Value) conf.Value {
	for _, v := range vals {
		if v.Text = strings.Trim(v.Text, blanks); v.Text != "" && v.Text != "0" {
			return v
		}
	}
	return conf.Value{}
}
