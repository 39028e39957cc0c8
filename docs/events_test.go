package docs_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"netserver/internal/events"
)

// Every message that is logged is in the table, and nothing else is.
func TestEventsDocIsOfTheCode(t *testing.T) {
	calls, texts := scan(t, "..")
	seen := make(map[string]bool)
	for _, g := range events.Groups() {
		for _, e := range g.Events {
			c := calls[e.Message]
			switch {
			case seen[e.Message]:
				t.Errorf("%q is there twice", e.Message)
			case e.Means == "":
				t.Errorf("%q: nothing says what it means", e.Message)
			case e.From != "" && !texts[e.From]:
				t.Errorf("%q: nothing in %s logs what is made elsewhere", e.Message, e.From)
			case e.From == "" && c == nil:
				t.Errorf("nothing logs %q", e.Message)
			case e.From == "" && e.Level != "" && len(c.levels) > 0 && !slices.Contains(c.levels, e.Level):
				t.Errorf("%q has the level %v, and not %s", e.Message, c.levels, e.Level)
			case level(&e, c) == "":
				t.Errorf("%q: its level is %v: the table must say which", e.Message, c.levels)
			}
			seen[e.Message] = true
			delete(calls, e.Message)
			delete(texts, e.From)
		}
	}
	for m, c := range calls {
		t.Errorf("%s: %q is not in internal/events", c.at, m)
	}
	for f := range texts {
		t.Errorf("%s logs a text that is made elsewhere, and no row of internal/events has it under From", f)
	}
}

// level returns an event's level; "" if it is not known.
func level(e *events.Event, c *call) string {
	if e.Level == "" && c != nil && len(c.levels) == 1 {
		return c.levels[0]
	}
	return e.Level
}

// The scan sees what it is to see.
func TestScan(t *testing.T) {
	dir := t.TempDir()
	src := `package x
func f() {
	log.Warn("one "+a, "key", v, slog.Int("n", 1))
	msg := "two"
	if a { msg = fmt.Sprintf("three %d", n) }
	log.LogAttrs(ctx, logs.Notice, msg)
	log.Error(err.Error())
	http.Error(w, "no", 500)
	logging.Error(log, fmt.Errorf("four: %w", err))
}`
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	calls, texts := scan(t, dir)
	for m, want := range map[string]string{"one …": "[warning] [key n]", "two": "[notice] []", "three …": "[notice] []", "four: …": "[error] []"} {
		c := calls[m]
		if c == nil || fmt.Sprint(c.levels, c.fields) != want {
			t.Errorf("%q: %v, want %s", m, c, want)
		}
	}
	if len(calls) != 4 || len(texts) != 1 || !texts["x.go"] {
		t.Errorf("%v %v", calls, texts)
	}
}

const (
	docBegin = "<!-- events -->\n"
	docEnd   = "<!-- end of events -->\n"
)

// docs/LOGS.md has the table.
func TestEventsDoc(t *testing.T) {
	calls, _ := scan(t, "..")
	var b bytes.Buffer
	for _, g := range events.Groups() {
		fmt.Fprintf(&b, "\n### %s\n\n| message | level | fields | what it means, and what to do |\n|---|---|---|---|\n", g.Name)
		for _, e := range g.Events {
			c := calls[e.Message]
			fields := e.Fields
			if fields == nil && c != nil {
				fields = c.fields
			}
			name := "`" + strings.TrimSpace(e.Message) + "`"
			if e.From != "" {
				name = e.Message
			}
			what := e.Means
			if e.Do != "" {
				what += ". *Do:* " + e.Do
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, level(&e, c), strings.Join(fields, ", "), what)
		}
	}
	b.WriteString("\n")
	file := "LOGS.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(page, []byte(docBegin))
	got, after, ok2 := bytes.Cut(rest, []byte(docEnd))
	if !ok || !ok2 {
		t.Fatalf("docs/LOGS.md has no %q", docBegin)
	}
	if *update {
		page = slices.Concat(before, []byte(docBegin), b.Bytes(), []byte(docEnd), after)
		if err := os.WriteFile(file, page, 0o644); err != nil {
			t.Fatal(err)
		}
		got = b.Bytes()
	}
	if !bytes.Equal(got, b.Bytes()) {
		t.Error("the events in docs/LOGS.md are not those of the table: go test ./docs -run EventsDoc -update")
	}
}
