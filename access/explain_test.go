package access

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	r := Rules{
		CIDRDeny: at("server.conf", 7, "10.9.0.0/16"), Deny: at("server.conf", 8, `.*\.bad\.example`),
		CIDRAllow: at("server.conf", 9, "10.0.0.0/8"), ReverseLookups: Texts("double"),
	}
	p := compile(t, r)
	l := &Lookups{Resolver: &fakeResolver{names: map[string][]string{"10.0.0.9": {"other.example."}}}}
	for _, c := range []struct{ peer, host, json, text string }{
		{"10.9.0.1", "", `{"allowed":false,"rule":"cidr_deny 10.9.0.0/16 (server.conf:7)"}`, "10.9.0.1: refused: cidr_deny 10.9.0.0/16 (server.conf:7)"},
		{"10.0.0.1", "good.example", `{"allowed":true,"rule":"cidr_allow 10.0.0.0/8 (server.conf:9)"}`, "10.0.0.1 (good.example): allowed: cidr_allow 10.0.0.0/8 (server.conf:9)"},
		{"10.0.0.1", "x.bad.example.", `{"allowed":false,"rule":"deny .*\\.bad\\.example (server.conf:8)"}`, ""},
		{"10.0.0.1", "", `{"allowed":false,"rule":"double_reverse_lookups (code): no name"}`, "10.0.0.1: refused: double_reverse_lookups (code): no name\nDouble reverse missing host from addr 10.0.0.1"},
		{"10.0.0.9", "", `{"allowed":false,"rule":"double_reverse_lookups (code): the name has no address"}`, ""},
		{"[::ffff:10.9.0.1]:443", "", `{"allowed":false,"rule":"cidr_deny 10.9.0.0/16 (server.conf:7)"}`, ""},
		{"10.9.0.1:443", "", `{"allowed":false,"rule":"cidr_deny 10.9.0.0/16 (server.conf:7)"}`, ""},
		{"[2001:db8::1]", "", `{"allowed":false,"rule":"no rule allows"}`, ""}, // whatever its name
		{"2001:db8::1", "h.example", `{"allowed":false,"rule":"no rule allows"}`, ""},
		{"unix", "", `{"allowed":true,"rule":"UNIX socket"}`, "unix: allowed: UNIX socket"},
	} {
		e, err := Explain(t.Context(), p, l, c.peer, c.host)
		if err != nil {
			t.Errorf("%s: %v", c.peer, err)
			continue
		}
		data, err := json.Marshal(e)
		if err != nil || string(data) != c.json {
			t.Errorf("%s %s: %s, want %s", c.peer, c.host, data, c.json)
		}
		if c.text != "" && e.String() != c.text {
			t.Errorf("%s %s: %q, want %q", c.peer, c.host, e, c.text)
		}
	}
	for peer, host := range map[string]string{"x": "", "": "", "10.0.0.0/8": "", "10.0.0.1": "a b"} {
		if e, err := Explain(t.Context(), p, l, peer, host); err == nil {
			t.Errorf("%q %q: %+v", peer, host, e)
		}
	}
	r.Shadow = Texts("all")
	e, err := Explain(t.Context(), compile(t, r), nil, "10.9.0.1", "a.example")
	if err != nil || !e.Shadowed || !strings.Contains(e.String(), "would be refused") {
		t.Errorf("%+v, %v", e, err)
	}
}
