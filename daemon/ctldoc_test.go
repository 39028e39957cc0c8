//go:build unix

package daemon_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"netserver/internal/control"
)

var jsonExample = regexp.MustCompile("(?s)```json (\\w+)\n(.*?)```")

// examples returns docs/CONTROL.md's example of each answer.
func examples(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "CONTROL.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]string)
	for _, e := range jsonExample.FindAllStringSubmatch(string(b), -1) {
		m[e[1]] = e[2]
	}
	return m
}

// answers are the types that the examples are of.
var answers = map[string]any{
	"status": control.Status{}, "conns": control.Conns{}, "conn": control.Connection{}, "kill": control.Killed{}, "reload": control.Reload{}, "leaving": control.Leaving{}, "waiting": control.Waiting{},
	"limits": control.Limits{}, "penalties": control.Penalties{}, "lift": control.Lifted{},
	"targets": control.Targets{}, "target": control.TargetChanged{}, "metrics": control.Metrics{}, "certs": control.Certs{},
	"health": control.Health{}, "ban": control.Banned{}, "explain": control.Explained{}, "cluster": control.Cluster{},
}

// The examples have all names, and no others.
func TestControlDoc(t *testing.T) {
	docs := examples(t)
	for name, v := range answers {
		example, ok := docs[name]
		if !ok {
			t.Errorf("docs/CONTROL.md has no example of %s", name)
			continue
		}
		want := make(map[string]bool)
		typePaths(reflect.TypeOf(v), "", want)
		if got := paths(t, example); !maps.Equal(got, want) {
			t.Errorf("%s: docs/CONTROL.md has the names %v, the answer has %v", name, sortedPaths(got), sortedPaths(want))
		}
	}
	if len(docs) != len(answers) {
		t.Errorf("examples of %v", slices.Sorted(maps.Keys(docs)))
	}
}

// What a server really answers has the names of the examples.
func TestControlDocIsWhatIsAnswered(t *testing.T) {
	docs := examples(t)
	file := writeFile(t, filepath.Join(openDir(t), "f.toml"), "[[backend]]\nname = 'b'\ntargets = '127.0.0.1:9'\n[[listen]]\nport = '127.0.0.1:0'\n[[listen]]\nport = '127.0.0.1:0/ssl'\nbackend = 'b'\n")
	r, socket := startCtl(t, "--conf_file", file, "--penalty_points", "100")
	mustDial(t, r.addr(0)).mustAsk(t, "hello")
	for _, c := range []struct {
		name string
		args []string
	}{
		{"status", []string{"status"}}, {"conns", []string{"conns"}}, {"conn", []string{"conns", "1.1"}}, {"limits", []string{"limits"}}, {"metrics", []string{"metrics"}}, {"certs", []string{"certs"}}, {"penalties", []string{"penalties"}},
		{"health", []string{"health"}}, {"explain", []string{"explain", "127.0.0.1", "www.example.org"}}, {"ban", []string{"penalties", "add", "192.0.2.1", "60"}},
		{"lift", []string{"penalties", "lift", "192.0.2.1"}}, {"reload", []string{"reload", "--dry-run"}}, {"targets", []string{"targets"}}, {"target", []string{"targets", "drain", "b", "127.0.0.1:9"}}, {"kill", []string{"kill", "1.1"}}, {"leaving", []string{"stop"}},
	} {
		code, out, errs := ctl(socket, append([]string{"--json"}, c.args...)...)
		if code != 0 {
			t.Fatalf("%v: exit status %d: %s", c.args, code, errs)
		}
		want := paths(t, docs[c.name])
		for _, line := range objects(t, out) {
			for p := range paths(t, line) {
				if !want[p] {
					t.Errorf("%v answers with %s, which docs/CONTROL.md does not show", c.args, p)
				}
			}
		}
	}
}

// objects takes a text apart into its JSON objects.
func objects(t *testing.T, text string) (list []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		list = append(list, string(raw))
	}
	return list
}

func paths(t *testing.T, text string) map[string]bool {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	m := make(map[string]bool)
	valuePaths(v, "", m)
	return m
}

// byName are objects whose names are data.
var byName = []string{".listeners.outcomes", ".listeners.refused", ".families.samples.labels", ".families.samples.buckets", ".errors", ".cluster.errors"}

func valuePaths(v any, at string, m map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		if slices.Contains(byName, at) {
			return
		}
		for k, e := range v {
			m[at+"."+k] = true
			valuePaths(e, at+"."+k, m)
		}
	case []any:
		for _, e := range v {
			valuePaths(e, at, m)
		}
	}
}

func typePaths(t reflect.Type, at string, m map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		typePaths(t.Elem(), at, m)
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name == "" {
				if t.Field(i).Anonymous {
					typePaths(t.Field(i).Type, at, m)
				}
				continue // of time.Time
			}
			m[at+"."+name] = true
			typePaths(t.Field(i).Type, at+"."+name, m)
		}
	}
}

func sortedPaths(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
