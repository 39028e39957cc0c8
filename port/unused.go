package port

import (
	"strings"

	"netserver/conf"
)

// An Unused is a host, protocol or family that was given but applies to no
// port.
type Unused struct {
	Key   string // host, proto or ipv
	Value conf.Value
	Port  string // the port that names its own; "" if there are fewer ports than values
}

// FindUnused returns the hosts, protocols and families of in that apply to no
// port: there is no port at their position, or it names its own. It skips
// those that a stronger source overrides, and those equal to the default.
func FindUnused(in Input) []Unused {
	entries, _ := flatten(in.Ports)
	if len(entries) == 0 {
		entries = []Entry{{Text: defaultPort}}
	}
	var list []Unused
	for _, l := range []struct {
		key    string
		vals   []conf.Value
		nought string // the default, which changes nothing
		own    func(Entry, conf.Value) (string, bool)
	}{
		{"host", in.Hosts, "*", hostOf},
		{"proto", in.Protos, TCP, protoOf},
		{"ipv", in.IPvs, "*", func(Entry, conf.Value) (string, bool) { return "", false }},
	} {
		for i, v := range l.vals {
			text := strings.ToLower(strings.Trim(v.Text, blanks))
			if u, ok := unused(l.own, entries, v, i, i == len(l.vals)-1); ok && text != "" && text != l.nought {
				u.Key = l.key
				list = append(list, u)
			}
		}
	}
	return list
}

// unused looks for an entry that uses the value at position i or says the
// same; the last value also applies to all further entries.
func unused(own func(Entry, conf.Value) (string, bool), entries []Entry, v conf.Value, i int, last bool) (Unused, bool) {
	u := Unused{Value: v}
	for j := i; j < len(entries) && (j == i || last); j++ {
		e := entries[j]
		text, ok := own(e, v)
		if !ok || strings.EqualFold(text, strings.Trim(v.Text, blanks)) || v.Origin.Source < e.source() {
			return Unused{}, false
		}
		u.Port = e.Text
		if e.Map != nil {
			u.Port = e.Map.Get("port")
		}
	}
	return u, true
}

func (e Entry) source() conf.Source { return originOf(e.Map, "port", e.Origin).Source }

// hostOf returns the host that an entry names itself. UNIX sockets have none;
// whether a host given with them has an effect is checked elsewhere.
func hostOf(e Entry, _ conf.Value) (string, bool) {
	if e.Map != nil && e.Map.Get("host") != "" {
		return e.Map.Get("host"), true
	}
	p, err := split(e.text(), "", e.Origin)
	return p.host, err == nil && p.hasHost
}

// protoOf returns the protocol that an entry names itself. If it is v by
// another name, such as tls, protoOf returns v.
func protoOf(e Entry, v conf.Value) (string, bool) {
	own := ""
	if e.Map != nil {
		own = e.Map.Get("proto")
	}
	if own == "" {
		p, err := split(e.text(), "", e.Origin)
		if err != nil {
			return "", false
		}
		own = p.proto
	}
	if canonical(strings.Trim(own, blanks)) == canonical(strings.Trim(v.Text, blanks)) {
		return strings.Trim(v.Text, blanks), own != ""
	}
	return own, own != ""
}

func (e Entry) text() string {
	if e.Map != nil {
		return e.Map.Get("port")
	}
	return e.Text
}
