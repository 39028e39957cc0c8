package daemon

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"

	"netserver/conf"
)

var update = flag.Bool("update", false, "write docs/KEYS.md anew")

const keysDoc = "../docs/KEYS.md"

const keysDocRules = `## Rules for all of them

Nothing that is given is ignored. The same rules hold for every key, and for
those that a Go program defines itself.

- **A key without effect in this start** is an error: a key of --check without
  it, a TLS key without a TLS port, exec_pipes without a program. For
  Net::Server's own keys (min_servers with Fork) it is a warning, as Net::Server
  accepts them and old conf files should still start, unless the server would go
  without something that guards it: the last column below. The column *needs* says when a key has an effect; of words
  joined by | one suffices, and a word that is not in this table is a key, which
  must be set to anything but off. A key that asks for nothing, being 0, off,
  none or its default, is passed over.
- **A single-valued key twice** on the command line or in one file is an error
  that names both places. For Net::Server's own keys the last one holds, as
  there, with a warning; of server_type the first that can be run, as there. A
  stronger source goes before a weaker one without a word.
- **An empty or blank value** is an error: mostly it is a shell variable that was
  not set. For user, group, log_file, pid_file and control_socket it takes off
  what a weaker source gives, as in --pid_file= beside a conf file that has one,
  and is an error where none does. An empty array in TOML is an empty list.
- **A limit that a port has for itself** among max_per_source, max_per_prefix,
  connection_rate, datagram_rate and theirs per source and prefix holds for that
  port's clients alone, beside the one of the whole server, which goes on to count
  the clients of all ports. Any other key of a port goes before the server's.
- **A key that does not exist** is an error that names the nearest one
  (unknown_keys warn: a warning).

| needs | in this start there must be | |
|---|---|---|
`

// The table of keys is what the command's own list says.
func TestKeysDoc(t *testing.T) {
	var s conf.Set
	new(Config).Define(&s)
	new(Config).DefineTables(&s)
	var b bytes.Buffer
	b.WriteString("# Keys\n\nEvery key of the command, as `netserver --help all` lists them. " +
		"Written by `go test ./daemon -run KeysDoc -update`.\n\n" + keysDocRules)
	for _, f := range factTexts {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.name, f.means, map[bool]string{true: "refused in any case"}[f.refuse])
	}
	b.WriteByte('\n')
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
