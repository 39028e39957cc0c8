package docs_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"netserver/tlsparams"
)

var update = flag.Bool("update", false, "write the tables of pages anew")

const (
	tlsPage  = "TLS.md"
	tlsBegin = "<!-- parameters: written by go test ./docs -run TLSPage -update -->\n"
	tlsEnd   = "<!-- end of parameters -->\n"
)

// tlsTables says what the parameters themselves say of themselves.
func tlsTables() string {
	var b bytes.Buffer
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	b.WriteString("| parameter | value | several | by name | what it does |\n|---|---|---|---|---|\n")
	yes := map[bool]string{true: "yes"}
	for _, k := range tlsparams.Keys() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", k.Name, cell(k.Arg), yes[k.List], yes[k.Map], cell(k.Help))
	}
	b.WriteString("\nRefused where a text gives them:\n\n| parameter | it |\n|---|---|\n")
	refused := tlsparams.Refused()
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, cell(refused[name]))
	}
	return b.String()
}

// The page's tables are what the parameters say.
func TestTLSPage(t *testing.T) {
	have, err := os.ReadFile(tlsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(have), tlsBegin)
	_, after, ok2 := strings.Cut(rest, tlsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s lacks its two marks", tlsPage)
	}
	want := before + tlsBegin + tlsTables() + tlsEnd + after
	if *update {
		if err := os.WriteFile(tlsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(have) {
		t.Errorf("the tables of %s are not what the parameters say; run go test ./docs -run TLSPage -update", tlsPage)
	}
}
