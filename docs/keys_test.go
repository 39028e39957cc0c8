// Package docs_test compares the pages with the program.
package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"netserver/conf"
	"netserver/daemon"
)

// keyRows returns what the page's tables of keys say of each key: the last
// cell of its row, for rows that begin with names of keys.
func keyRows(t *testing.T, page string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "\n## Keys\n")
	if !ok {
		t.Fatal("no section Keys in " + page)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	names := regexp.MustCompile(`^(\w+)( \([\w ]+\))?$`)
	rows := make(map[string]string)
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `\|`, "!"), "|")
		if len(cells) != 5 || strings.Contains(cells[1], "---") || strings.TrimSpace(cells[1]) == "key" {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			if m := names.FindStringSubmatch(strings.TrimSpace(name)); m != nil {
				rows[m[1]] = strings.TrimSpace(cells[3])
			}
		}
	}
	if len(rows) < 50 {
		t.Fatalf("found only %d keys in %s", len(rows), page)
	}
	return rows
}

// What the map for owners of Net::Server programs says of a key must be what
// the command does with it.
func TestKeysAreAsTheMapSays(t *testing.T) {
	set := new(conf.Set)
	new(daemon.Config).Define(set)
	rows := keyRows(t, "NET-SERVER.md")
	for name, status := range rows {
		k, defined := set.Lookup(name)
		refused := defined && k.Refuse != ""
		switch {
		case strings.HasPrefix(status, "yes"):
			if !defined || refused {
				t.Errorf("%s: the page says %q, the command refuses it: %q", name, status, k.Refuse)
			}
		case strings.HasPrefix(status, "no"):
			if !refused {
				t.Errorf("%s: the page says %q, but the command does not refuse it by name", name, status)
			}
		case !strings.HasPrefix(status, "see "):
			t.Errorf("%s: cannot read %q", name, status)
		}
	}
	for _, k := range set.Keys() {
		if _, ok := rows[k.Name]; !ok && k.Refuse != "" && !strings.HasPrefix(k.Name, "SSL_") {
			t.Errorf("%s is refused by name, and the page does not say so", k.Name)
		}
	}
}
