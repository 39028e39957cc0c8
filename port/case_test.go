package port

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"netserver/conf"
)

// A kase is one question to both programs. Ports, Hosts, Protos and IPvs are
// nil, a string or a list; a port in a list may be a map.
type kase struct {
	Ports       any    `json:"ports,omitempty"`
	Hosts       any    `json:"hosts,omitempty"`
	Protos      any    `json:"protos,omitempty"`
	IPvs        any    `json:"ipvs,omitempty"`
	EnvIPv      string `json:"env_ipv,omitempty"`
	NoIPv6      bool   `json:"no_ipv6,omitempty"`
	NoStack     bool   `json:"no_ipv6_stack,omitempty"`
	DefaultPort string `json:"default_port,omitempty"`
}

type (
	list = []any
	hash = map[string]any
)

// String shows a case as the reference does, which is what the patterns of the
// differences match: "20203/tcp" host="127.0.0.1" ipv=["4" "6"].
func (k kase) String() string {
	words := []string{show(k.Ports)}
	for _, f := range []struct {
		name string
		v    any
	}{{"host", k.Hosts}, {"proto", k.Protos}, {"ipv", k.IPvs}} {
		if f.v != nil {
			words = append(words, f.name+"="+show(f.v))
		}
	}
	if k.EnvIPv != "" {
		words = append(words, "IPV="+k.EnvIPv)
	}
	if k.NoIPv6 {
		words = append(words, "NO_IPV6")
	}
	if k.NoStack {
		words = append(words, "(no IPv6 on the machine)")
	}
	if k.DefaultPort != "" {
		words = append(words, "default_port="+k.DefaultPort)
	}
	return strings.Join(words, " ")
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		return fmt.Sprintf("%q", v)
	case list:
		words := make([]string, len(v))
		for i, e := range v {
			words[i] = show(e)
		}
		return "[" + strings.Join(words, " ") + "]"
	case hash:
		var words []string
		for key, e := range v {
			words = append(words, key+":"+show(e))
		}
		slices.Sort(words)
		return "{" + strings.Join(words, " ") + "}"
	}
	panic(fmt.Sprintf("a case cannot hold %T", v))
}

// input translates the case for Resolve.
func (k kase) input() Input {
	in := Input{
		Hosts:       values(k.Hosts),
		Protos:      values(k.Protos),
		IPvs:        values(k.IPvs),
		EnvIPv:      k.EnvIPv,
		NoIPv6:      k.NoIPv6,
		DefaultPort: k.DefaultPort,
	}
	ports, ok := k.Ports.(list)
	if !ok && k.Ports != nil {
		ports = list{k.Ports}
	}
	for _, p := range ports {
		e := Entry{}
		switch p := p.(type) {
		case string:
			e.Text = p
		case hash:
			e.Map = conf.Values{}
			for key, v := range p {
				e.Map[key] = values(v)
			}
		}
		in.Ports = append(in.Ports, e)
	}
	return in
}

func values(v any) []conf.Value {
	switch v := v.(type) {
	case string:
		return []conf.Value{{Text: v}}
	case list:
		var out []conf.Value
		for _, e := range v {
			out = append(out, conf.Value{Text: e.(string)})
		}
		return out
	}
	return nil
}

// A result is what a program made of a case.
type result struct {
	Rows  []string `json:"rows,omitempty"` // as rowText writes them
	Log   []string `json:"log,omitempty"`
	Error string   `json:"error,omitempty"`
}

func (r result) String() string {
	if r.Error != "" {
		return "ERROR " + r.Error
	}
	return strings.Join(r.Rows, " + ")
}

// rowText is "host, port, proto, ipv" and the further keys in braces.
func rowText(host, port, proto, ipv string, more []string) string {
	text := strings.Join([]string{host, port, proto, ipv}, ", ")
	if len(more) > 0 {
		slices.Sort(more)
		text += " {" + strings.Join(more, " ") + "}"
	}
	return text
}

// ask gives the case to Resolve.
func (k kase) ask() result {
	specs, notes, err := Resolve(context.Background(), k.input(), fake{noStack: k.NoStack})
	var r result
	for _, n := range notes {
		r.Log = append(r.Log, n.Text)
	}
	if err != nil {
		r.Error = err.Error()
		return r
	}
	for _, s := range specs {
		var more []string
		for key, vals := range s.Params {
			for _, v := range vals {
				more = append(more, key+"="+v.Text)
			}
		}
		r.Rows = append(r.Rows, rowText(s.Host, s.Port, s.Proto, s.IPv, more))
	}
	return r
}

// perlResult translates a line of testdata/netserver.pl.
func perlResult(line []byte) (result, error) {
	var raw struct {
		Rows  []map[string]any
		Log   []string
		Error string
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		return result{}, err
	}
	r := result{Log: raw.Log, Error: raw.Error}
	for _, row := range raw.Rows {
		text := func(key string) string { s, _ := row[key].(string); return s }
		var more []string
		for key, v := range row {
			switch key {
			case "host", "port", "proto", "ipv", "warn":
			default:
				more = append(more, fmt.Sprintf("%s=%v", key, v))
			}
		}
		r.Rows = append(r.Rows, rowText(text("host"), text("port"), text("proto"), text("ipv"), more))
	}
	return r, nil
}
