package daemon

import (
	"encoding/json"
	"io"

	"netserver/conf"
)

// checked is what --check prints.
type checked struct {
	ServerType string            `json:"server_type"`
	Listeners  []checkedListener `json:"listeners"`
	Options    map[string]any    `json:"options"`
	Origin     map[string]string `json:"origin"`
}

type checkedListener struct {
	Host  string `json:"host"`
	Port  string `json:"port"`
	Proto string `json:"proto"`
	IPv   string `json:"ipv"`
}

// printCheck prints the resolved configuration as one JSON object.
func (p *program) printCheck(w io.Writer, res *conf.Result) error {
	out := checked{
		ServerType: p.conf.Type,
		Listeners:  []checkedListener{},
		Options:    res.Options(),
		Origin:     res.Origins(),
	}
	for _, s := range p.conf.Server.Ports {
		out.Listeners = append(out.Listeners, checkedListener{s.Host, s.Port, s.Proto, s.IPv})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
