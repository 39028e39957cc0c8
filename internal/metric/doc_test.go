package metric

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/METRICS.md anew")

const docHead = "# Metrics\n\n" +
	"What `netserver ctl metrics` shows, over all processes of a server. Written by `go test ./internal/metric -run Doc -update` from the table of families.\n\n" +
	"Counters only rise while the server runs, over reloads and ends of workers too; a worker that is killed loses what it has counted in its last 5 seconds at most. " +
	"Labels have values from fixed lists or from the configuration, and none that a client chooses. " +
	"Histograms have the buckets of Prometheus's native histograms, eight to a power of two, from a microsecond to 48 days; [CONTROL.md](CONTROL.md#metrics) says how they are written.\n\n"

// docs/METRICS.md is what the table says.
func TestMetricsDoc(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(docHead + "| family | type | labels | |\n|---|---|---|---|\n")
	var labels []string
	seen := make(map[string]bool)
	for _, f := range Families() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Type, strings.Join(f.Labels, ", "), f.Help)
		for _, l := range f.Labels {
			if !seen[l] {
				seen[l] = true
				labels = append(labels, l)
			}
		}
	}
	b.WriteString("\n## Labels\n\n| label | values |\n|---|---|\n")
	for _, l := range labels {
		words, list := Values(l)
		if words == "" {
			words = strings.Join(list, ", ")
		}
		if words == "" {
			t.Errorf("the label %s has no values", l)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", l, words)
	}
	file := filepath.Join("..", "..", "docs", "METRICS.md")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Errorf("docs/METRICS.md is not what the table says (%v): go test ./internal/metric -run Doc -update", err)
	}
}

// Names keep to Prometheus's conventions.
func TestNamesOfFamilies(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range Families() {
		switch {
		case seen[f.Name]:
			t.Errorf("%s is there twice", f.Name)
		case !strings.HasPrefix(f.Name, "netserver_"), strings.Trim(f.Name, "abcdefghijklmnopqrstuvwxyz_") != "":
			t.Errorf("%s is not a name", f.Name)
		case strings.HasSuffix(f.Name, "_total") != (f.Type == Counter):
			t.Errorf("%s is a %s", f.Name, f.Type)
		case f.Unit != "" && !strings.HasSuffix(strings.TrimSuffix(f.Name, "_total"), "_"+f.Unit):
			t.Errorf("%s has the unit %s", f.Name, f.Unit)
		case f.Help == "" || !strings.HasSuffix(f.Help, "."):
			t.Errorf("%s has the help %q", f.Name, f.Help)
		}
		seen[f.Name] = true
	}
}
