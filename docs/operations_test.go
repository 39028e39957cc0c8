package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"netserver/outcome"
)

// firstCells returns the first cells of the table behind a mark, in order.
func firstCells(t *testing.T, page, mark string) (cells []string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(b), "<!-- "+mark+" -->\n")
	if !found {
		t.Fatalf("%s has no mark %s", page, mark)
	}
	for i, line := range strings.Split(table, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if row := strings.Split(line, "|"); i > 1 {
			for _, cell := range row[1 : len(row)-1] {
				if strings.TrimSpace(cell) == "" {
					t.Errorf("%s: an empty cell in %s", page, line)
				}
			}
			cells = append(cells, strings.TrimSpace(row[1]))
		}
	}
	return cells
}

// The page for operators has a row for every outcome, and for nothing else.
func TestOperationsHasEveryOutcome(t *testing.T) {
	got, want := firstCells(t, "OPERATIONS.md", "outcomes"), outcome.Names()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("outcomes in docs/OPERATIONS.md:\n%q\nin outcome/outcome.go:\n%q", got, want)
	}
}

// It says of every alert what to do.
func TestOperationsHasEveryAlert(t *testing.T) {
	b, err := os.ReadFile("../packaging/prometheus/netserver.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^ *- alert: (\S+)$`).FindAllStringSubmatch(string(b), -1) {
		want = append(want, m[1])
	}
	if got := firstCells(t, "OPERATIONS.md", "alerts"); len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("alerts in docs/OPERATIONS.md:\n%q\nin the rules:\n%q", got, want)
	}
}
