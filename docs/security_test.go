package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every promise of the pages on security names the tests that show it. A test
// that is renamed or removed takes its promise along.
func TestSecurityPagesNameTestsThatExist(t *testing.T) {
	declared := make(map[string]bool)
	decl := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range decl.FindAllSubmatch(b, -1) {
			declared[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z][A-Za-z0-9_]*`)
	for page, least := range map[string]int{"DAEMON.md": 20, "SECURITY.md": 20, "CLUSTER.md": 20} {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		rows, shown := 0, false // shown: in a table whose last column is of tests
		for i, line := range strings.Split(string(b), "\n") {
			names := name.FindAllString(line, -1)
			for _, n := range names {
				if !declared[n] {
					t.Errorf("%s:%d: there is no test %s", page, i+1, n)
				}
			}
			if cells := strings.Split(line, "|"); page == "SECURITY.md" && len(cells) == 6 && !strings.Contains(line, "---") && strings.TrimSpace(cells[1]) != "who" {
				if len(names) == 0 {
					t.Errorf("%s:%d: a promise without a test", page, i+1)
				}
			}
			switch {
			case strings.HasSuffix(line, "| shown by |"):
				shown = true
			case !strings.HasPrefix(line, "|"):
				shown = false
			case shown && len(names) == 0 && !strings.Contains(line, "---"):
				t.Errorf("%s:%d: a row without a test", page, i+1)
			}
			if len(names) > 0 {
				rows++
			}
		}
		if rows < least {
			t.Errorf("%s: tests are named in %d lines only", page, rows)
		}
	}
}
