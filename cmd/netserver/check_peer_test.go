//go:build unix

package main_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
)

// --check --peer tells, beside the access rule, how limits count the client
// and what each port makes of it: ports of the file, and those of --port.
func TestCheckExplainsLimitsAndPorts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.toml")
	write(t, file, `
penalty_points = 10
penalty_exempt = ["192.0.2.0/24"]
max_connections = 1000
[[listen]]
port = "127.0.0.1:4001/tcp"
proxy_protocol = "require"
proxy_protocol_from = ["192.0.2.7"]
[[listen]]
port = "127.0.0.1:4002/tcp"
`)
	type told struct {
		Limits map[string]int64
		Access struct{ Allowed bool }
		Peer   struct {
			Source, Network string
			PenaltyExempt   bool `json:"penalty_exempt"`
			Ports           []struct {
				Port, Rule string
				Allowed    bool
			}
		}
	}
	for _, c := range []struct {
		peer            string
		more            []string
		source, network string
		exempt          bool
		ports           []bool
	}{
		{"192.0.2.7", nil, "192.0.2.7/32", "192.0.2.0/24", true, []bool{true, true}},
		{"198.51.100.9", nil, "198.51.100.9/32", "198.51.100.0/24", false, []bool{false, true}},
		{"[2001:db8:1:2::3]:77", nil, "2001:db8:1:2::/64", "2001:db8:1::/48", false, []bool{false, true}},
		{"198.51.100.9", []string{"--port", "127.0.0.1:4002/tcp"}, "198.51.100.9/32", "198.51.100.0/24", false, []bool{true}},
		{"unix", nil, "", "", false, nil},
	} {
		out, err := exec.Command(binary, append([]string{"--conf_file", file, "--check", "--peer", c.peer}, c.more...)...).Output()
		var got told
		if err != nil || json.Unmarshal(out, &got) != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
		p := got.Peer
		if p.Source != c.source || p.Network != c.network || p.PenaltyExempt != c.exempt || !got.Access.Allowed {
			t.Errorf("%v: %+v", c, got)
		}
		if len(p.Ports) != len(c.ports) {
			t.Errorf("%v: ports %+v", c, p.Ports)
			continue
		}
		for i, allowed := range c.ports {
			if p.Ports[i].Allowed != allowed || p.Ports[i].Rule == "" {
				t.Errorf("%v: port %+v", c, p.Ports[i])
			}
		}
		if l := got.Limits; l["max_connections"] != 1000 || l["max_per_source"] != 750 || l["max_per_prefix"] != 875 || l["max_handshakes"] != 750 || l["memory_tls"] != 12288 {
			t.Errorf("limits: %v", l)
		}
	}
}
