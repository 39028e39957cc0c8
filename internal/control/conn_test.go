package control

import (
	"strings"
	"testing"
	"time"
)

// One client as text: what is known of it, a fact a line, and nothing of the rest.
func TestConnectionText(t *testing.T) {
	child := 77
	full := Connection{Facts: &TLSFacts{Version: "TLS 1.3", Group: "X25519", ALPN: "h2", Resumed: true}, Child: &child, Notes: []Note{{"exit", "\x1b1"}}}
	full.ID, full.PID, full.Port, full.Since = "1.2", 7, "443/ssl", time.Unix(0, 0).UTC()
	for _, c := range []struct {
		of         Connection
		has, lacks []string
	}{
		{full, []string{"id           1.2, process 7\n", "port         443/ssl\n", "tls          TLS 1.3, X25519, resumed\n", "alpn         h2\n", "child        process 77\n", "note         exit=\\x1b1\n"}, []string{"route", "target", "\x1b"}},
		{Connection{}, []string{"stage"}, []string{"tls", "alpn", "child", "note", "port"}},
	} {
		var b strings.Builder
		c.of.Text(&b)
		for _, w := range c.has {
			if !strings.Contains(b.String(), w) {
				t.Errorf("no %q in\n%s", w, &b)
			}
		}
		for _, w := range c.lacks {
			for line := range strings.Lines(b.String()) {
				if strings.HasPrefix(line, w) {
					t.Errorf("%q in\n%s", w, &b)
				}
			}
		}
	}
}

// conns of one client goes with nothing else, and IDs are IDs.
func TestConnsRequests(t *testing.T) {
	for _, c := range []struct {
		r  Request
		ok bool
	}{
		{Request{ID: "1.2"}, true}, {Request{After: "1.2", Limit: 5}, true}, {Request{}, true},
		{Request{ID: "1.2", Limit: 5}, false}, {Request{ID: "1.2", After: "1.1"}, false},
		{Request{ID: "1"}, false}, {Request{After: "x"}, false}, {Request{Limit: -1}, false},
	} {
		c.r.Verb = VerbConns
		if err := c.r.check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
}
