package conf

import (
	"fmt"
	"testing"
)

func TestValuesByName(t *testing.T) {
	var s Set
	var got []Value
	s.Define(Key{Name: "cert", Map: true}, Func(func(v []Value) error { got = v; return nil }))
	s.Define(Key{Name: "plain"}, String(new(string)))
	for text, want := range map[string]string{
		"/etc/a.pem":                 ":/etc/a.pem",
		"www.example.com=/etc/a.pem": "www.example.com:/etc/a.pem",
		"*.example.com=a=b":          "*.example.com:a=b",
		"www.example.com%ecc=a":      "www.example.com%ecc:a",
		"%ecc=a":                     "%ecc:a",
		"=a.b=c":                     ":a.b=c",
		"CN=ann":                     ":CN=ann",
		"./a.b=c":                    ":./a.b=c",
		"../a.b=c":                   ":../a.b=c",
		".hidden=c":                  ":.hidden=c",
		"/etc/a.b=c":                 ":/etc/a.b=c",
		"https://x.example/?a=b":     ":https://x.example/?a=b",
		"ALL:@SECLEVEL=0":            ":ALL:@SECLEVEL=0",
		"sha256/AAAA.=":              ":sha256/AAAA.=",
		"spiffe://example.org/a.b=c": ":spiffe://example.org/a.b=c",
		"www.example.com:443=a":      ":www.example.com:443=a",
	} {
		layers := map[string]Layer{
			"line":     s.ReadLines("f.conf", []byte("cert = "+text+"\nplain a.b=c\n")),
			"argument": s.ReadArgs([]string{"--cert", text, "plain=a.b=c"}).Layer,
			"=":        s.ReadArgs([]string{"--cert=" + text}).Layer,
			"variable": s.ReadEnv([]string{"NETSERVER_CERT=" + text}),
		}
		for from, l := range layers {
			res, err := s.Resolve(l)
			if err != nil || len(got) != 1 {
				t.Errorf("%s %q: %v %v", from, text, got, err)
				continue
			}
			if have := fmt.Sprintf("%s:%s", got[0].Name, got[0].Text); have != want {
				t.Errorf("%s %q: got %q, want %q", from, text, have, want)
			}
			// What was resolved means the same to another process.
			if _, err := s.Resolve(LayerOf(SourceRun, res.Given())); err != nil || fmt.Sprintf("%s:%s", got[0].Name, got[0].Text) != want {
				t.Errorf("%s %q, handed on: %q %v", from, text, got, err)
			}
		}
	}
	l := s.ReadLines("f.conf", []byte("cert a.x=1\ncert 0\ncert b.x=2\ncert a.x=3\n"))
	if _, err := s.Resolve(l); err != nil || len(got) != 3 {
		t.Errorf("several names: %v %v", got, err)
	}
}
