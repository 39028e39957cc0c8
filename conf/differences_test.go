package conf

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// differences are the deliberate ones, by the names that the cases use.
var differences = []struct{ name, why string }{
	{"percent signs", "The original decodes % and one hexadecimal digit in every value, probably meaning two. It ruins passwords, patterns and log formats. Here nothing is decoded."},
	{"trailing blanks", "Blanks that nobody sees, and the carriage return of a file from Windows, become part of the value there. Here they are cut."},
	{"lines that say nothing", "A line that is not KEY VALUE is skipped without a word there, so that a setting is believed to be in force that is not. Here it is an error with its place."},
	{"unknown keys", "A misspelt key is skipped there, and its value may be taken for a key. Here it is an error that names the nearest key, unless the program asks for the rest (`--unknown_keys warn`)."},
	{"values that look like keys", "The original reads the lines of a file as if they were arguments, so that a value with two dashes in front becomes a key. Here the rest of the line is the value."},
	{"conf_file in a conf file", "It is not followed there either, but without a word. Here it is an error."},
	{"conf files that cannot be read", "The original warns and starts without the file, or takes a directory for an empty one, or refuses a name with blanks. Here a file that was asked for must be readable, and its name may be any."},
	{"byte order mark", "The invisible mark that some editors write makes the first line unreadable to the original. Here it is skipped."},
	{"NUL bytes", "A file with NUL bytes is not the text that somebody wrote. Here it is an error."},
	{"boolean words", "Every text but 0 is true there, off and no included. Here yes, true, on and numbers are true, and words that would say the opposite of what they mean are errors."},
	{"a boolean before another key", "A boolean needs no value, but there it takes the next argument unless that begins with two dashes. Here an argument that is a known key, or gives one a value, is left alone."},
	{"a key without its value", "The value is 1 there, which makes a user, a port or a file of that name. Here only booleans can stand alone."},
	{"KEY= with nothing behind it", "It is no key there and stays among the arguments. Here it is the empty text."},
	{"KEY=VALUE with blanks", "A value with blanks is not recognised there. Here the argument ends where the shell says."},
	{"sig_passthrough", "The original forgets it unless it stands in the last source that is read. Here it is a list like any other."},
}

// beyond is what the comparison cannot show.
const beyond = `## What is not compared

- **Numbers.** Net::Server reads texts here and checks them later: what is not
  digits becomes the default without a word. Here the key's own check refuses
  it, with its place.
- **Single keys from code** that are given a list are an error in both.
- **The command's own line** (ReadArgs) refuses what Net::Server would leave to
  the application: unknown keys, stray words, keys with one dash. It ends at
  ` + "`--`" + `, which Net::Server passes over, and takes the TYPE in any case.
- **The environment** (` + "`NETSERVER_KEY`" + `) and the **TOML form** do not exist there.
  In TOML, ` + "`false`" + ` is false and ` + "`1_000`" + ` is a number.
`

// TestDifferences keeps DIFFERENCES.md true: it is made of the differences
// above, with the first case of each as Net::Server and as this package
// answer it.
func TestDifferences(t *testing.T) {
	rec, cases := recorded(t), perlCases()
	for _, c := range cases {
		if c.differs != "" && !slices.ContainsFunc(differences, func(d struct{ name, why string }) bool { return d.name == c.differs }) {
			t.Errorf("%s: no such difference: %s", c, c.differs)
		}
	}
	var b strings.Builder
	agree := len(slices.DeleteFunc(slices.Clone(cases), func(c perlCase) bool { return c.differs != "" }))
	fmt.Fprintf(&b, "# Where this package differs from Net::Server\n\n"+
		"Made by `go test ./conf -run Differences -update`. Net::Server %s was given %d\n"+
		"command lines, run arguments and conf files; of %d it makes what this package\n"+
		"makes. The other %d show these deliberate differences.\n\n"+
		"| difference | example | Net::Server | here | why |\n|---|---|---|---|---|\n",
		rec.Version, len(cases), agree, len(cases)-agree)
	for _, d := range differences {
		i := slices.IndexFunc(cases, func(c perlCase) bool { return c.differs == d.name })
		if i < 0 {
			t.Errorf("no case shows the difference %s", d.name)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", d.name, code(cases[i].String()),
			code(rec.Results[i].String()), code(ourAnswer(cases[i], rec.Kinds).String()), d.why)
	}
	b.WriteString("\n" + beyond)
	if *update {
		if err := os.WriteFile("DIFFERENCES.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile("DIFFERENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != b.String() {
		t.Error("DIFFERENCES.md is not what the comparison shows: run go test ./conf -run Differences -update")
	}
}

// code makes text fit into a cell of a table.
func code(text string) string {
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}
