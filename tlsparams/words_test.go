package tlsparams

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"netserver/conf"
)

// Every key that takes several names in one value takes the same separators,
// and its help says which.
func TestNamesAreSeparatedAlike(t *testing.T) {
	pin := "sha256$" + strings.Repeat("ab", 32)
	two := map[string][2]string{
		"SSL_alpn_protocols": {"h2", "http/1.1"}, "SSL_fingerprint": {pin, "sha256$pub$" + strings.Repeat("cd", 32)},
		"SSL_allow_dns": {"a.example", "*.b.example"}, "SSL_allow_email": {"a@example.com", "@example.org"},
		"SSL_allow_ip": {"192.0.2.1", "2001:db8::/32"}, "SSL_allow_spki": {"sha256$pub$" + strings.Repeat("ef", 32), "sha256$pub$" + strings.Repeat("01", 32)},
	}
	for _, k := range Keys() {
		if !k.List || k.Arg != "NAMES" && k.Arg != "PINS" {
			continue
		}
		names, ok := two[k.Name]
		if !ok {
			t.Errorf("%s takes %s: no case", k.Name, k.Arg)
			continue
		}
		if !strings.Contains(k.Help, "separated by commas or blanks") {
			t.Errorf("the help of %s does not tell separators: %s", k.Name, k.Help)
		}
		apart, err := Params{}.With(values(k.Name+"="+names[0], k.Name+"="+names[1]))
		if err != nil {
			t.Fatal(err)
		}
		apart.origins = nil
		for _, sep := range []string{",", " ", ", ", "\t", " ,\n"} {
			joined, err := Params{}.With(values(k.Name + "=" + names[0] + sep + names[1]))
			joined.origins = nil
			if err != nil || fmt.Sprintf("%+v", joined) != fmt.Sprintf("%+v", apart) {
				t.Errorf("%s with %q: %v, %+v", k.Name, sep, err, joined)
			}
		}
	}
	// Names of people may hold a comma: they stand alone.
	p, err := Params{}.With(conf.Values{"SSL_allow_cn": {{Text: "Doe, Jane"}}})
	if err != nil || !slices.Equal(p.AllowCN, []string{"Doe, Jane"}) {
		t.Errorf("%q, %v", p.AllowCN, err)
	}
	if _, err := (Params{}).With(values("SSL_alpn_protocols=h2:http/1.1")); err == nil || !strings.Contains(err.Error(), "separate names with commas or blanks") {
		t.Errorf("with a colon: %v", err)
	}
}
