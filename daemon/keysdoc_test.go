package daemon

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"netserver/conf"
)

var update = flag.Bool("update", false, "write docs/KEYS.md anew")

const keysDoc = "../docs/KEYS.md"

// The table of keys is what the command's own list says.
func TestKeysDoc(t *testing.T) {
	var s conf.Set
	new(Config).Define(&s)
	var b bytes.Buffer
	b.WriteString("# Keys\n\nEvery key of the command, as `netserver --help` lists them. " +
		"Written by `go test ./daemon -run KeysDoc -update`.\n\n")
	if err := s.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(keysDoc, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(keysDoc)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Error("docs/KEYS.md is not what the keys say; run go test ./daemon -run KeysDoc -update")
	}
}
