package connlog_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"netserver/daemon/internal/connlog"
)

var update = flag.Bool("update", false, "write docs/LOGS.md")

// docs/LOGS.md lists the fields as the table has them; with -update it is
// written.
func TestFieldsInDocs(t *testing.T) {
	const file, mark = "../../../docs/LOGS.md", "<!-- fields of connections -->\n"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString(mark + "| name | |\n|---|---|\n")
	for _, f := range connlog.Fields() {
		name := "`" + f.Name + "`"
		if !f.InText() {
			name += " *"
		}
		table.WriteString("| " + name + " | " + f.Help + " |\n")
	}
	text := string(b)
	before, after, ok := strings.Cut(text, mark)
	if !ok {
		t.Fatal("docs/LOGS.md has no place for the fields")
	}
	for strings.HasPrefix(after, "|") {
		_, after, _ = strings.Cut(after, "\n")
	}
	want := before + table.String() + after
	if text == want {
		return
	}
	if !*update {
		t.Fatal("docs/LOGS.md is not as the table has it: go test ./daemon/internal/connlog -run FieldsInDocs -update")
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
