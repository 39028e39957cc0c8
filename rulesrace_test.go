package netserver

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"netserver/access"
	"netserver/conf"
)

// The rules change when a client has been judged by the old ones and nobody
// can find it yet.
func TestRulesThatChangeMeanwhileAreAskedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(path, []byte("# nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := new(Server)
	s.Config.Access.Set("cidr_deny_file", []conf.Value{{Text: path}})
	s.Config.Access.Set("allow", []conf.Value{{Text: ".*"}})
	all, err := s.compileRules([]*portConfig{{}})
	if err != nil {
		t.Fatal(err)
	}
	rules := all[0]
	r := &run{log: s.log()}
	r.clients.init(context.Background())
	l := &listening{rules: rules}
	r.ls = []*listening{l}
	c := &Conn{run: r, l: l, peer: access.Peer{IP: netip.MustParseAddr("192.0.2.1")}}
	r.clients.add(c)
	asked := 0
	v := c.rule(false, func(p *access.Policy) access.Verdict {
		v := p.Early(c.peer)
		if asked++; asked == 1 {
			if err := os.WriteFile(path, []byte("192.0.2.0/24\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if changed, err := rules.store.Reload(); !changed {
				t.Fatal(err)
			}
			r.ruleAgain(context.Background(), rules)
			if c.cause() != nil {
				t.Fatal("cut before it was let in")
			}
		}
		return v
	})
	if v.Allowed || asked != 2 {
		t.Errorf("asked %d times: %+v", asked, v)
	}
}
