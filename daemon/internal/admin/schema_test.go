package admin

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/internal/control"
)

var update = flag.Bool("update", false, "write docs/status.schema.json")

// A schema is as much of JSON Schema as that of /status needs.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Type        any                `json:"type"` // a name or several
	Minimum     *int               `json:"minimum,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or the schema of the others
	Description string             `json:"description,omitempty"`
}

// words are the values that some members have.
var words = map[string][]string{
	"state":  {"starting", "serving", "reloading", "ending"},
	"reason": {"", control.ReasonStarting, control.ReasonDraining, control.ReasonSilent, control.ReasonCluster},

	"Node.state": {control.NodeReady, control.NodeStarting, control.NodeDraining},
}

func schemaOf(t reflect.Type, name string) *schema {
	switch t.Kind() {
	case reflect.Pointer:
		s := schemaOf(t.Elem(), name)
		if s.Properties == nil {
			s.Type = []any{s.Type, "null"}
		}
		return s
	case reflect.String:
		return &schema{Type: "string", Enum: words[name]}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return &schema{Type: "integer", Minimum: new(0)}
	case reflect.Float64:
		if name == "clock_ahead_seconds" {
			return &schema{Type: "number"}
		}
		return &schema{Type: "number", Minimum: new(0)}
	case reflect.Slice:
		return &schema{Type: "array", Items: schemaOf(t.Elem(), name)}
	case reflect.Map:
		return &schema{Type: "object", Additional: schemaOf(t.Elem(), name)}
	}
	if t == reflect.TypeFor[time.Time]() {
		return &schema{Type: "string"}
	}
	s := &schema{Type: "object", Properties: make(map[string]*schema), Additional: false}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			in := schemaOf(f.Type, "")
			for k, v := range in.Properties {
				s.Properties[k] = v
			}
			s.Required = append(s.Required, in.Required...)
			continue
		}
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		name := key
		if in := t.Name() + "." + key; words[in] != nil {
			name = in
		}
		s.Properties[key] = schemaOf(f.Type, name)
		if options == "" {
			s.Required = append(s.Required, key)
		}
	}
	return s
}

// fits returns what in v is not as s says.
func (s *schema) fits(v any, at string) (bad []string) {
	kinds := []any{s.Type}
	if list, ok := s.Type.([]any); ok {
		kinds = list
	}
	kind := "null"
	switch v := v.(type) {
	case string:
		kind = "string"
		if s.Enum != nil && !slices.Contains(s.Enum, v) {
			bad = append(bad, fmt.Sprintf("%s: %q is not in %q", at, v, s.Enum))
		}
	case bool:
		kind = "boolean"
	case float64:
		kind = "number"
		if v == float64(int64(v)) && slices.Contains(kinds, any("integer")) {
			kind = "integer"
		}
		if s.Minimum != nil && v < float64(*s.Minimum) {
			bad = append(bad, fmt.Sprintf("%s: %v is too small", at, v))
		}
	case []any:
		kind = "array"
		for i, e := range v {
			bad = append(bad, s.Items.fits(e, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		kind = "object"
		bad = append(bad, s.fitsMembers(v, at)...)
	}
	if !slices.Contains(kinds, any(kind)) {
		bad = append(bad, fmt.Sprintf("%s: %s, not %v", at, kind, kinds))
	}
	return bad
}

func (s *schema) fitsMembers(v map[string]any, at string) (bad []string) {
	for _, k := range s.Required {
		if _, ok := v[k]; !ok {
			bad = append(bad, at+"."+k+" is missing")
		}
	}
	for k, e := range v {
		if p := s.Properties[k]; p != nil {
			bad = append(bad, p.fits(e, at+"."+k)...)
		} else if s.Additional == false {
			bad = append(bad, at+"."+k+" is unknown")
		}
	}
	return bad
}

func schemaText(t *testing.T) []byte {
	t.Helper()
	s := schemaOf(reflect.TypeFor[fullStatus](), "")
	s.Schema, s.Title = "https://json-schema.org/draft/2020-12/schema", "What netserver answers to GET /status"
	s.Description = "docs/CONTROL.md says what the members mean."
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "status.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := new(schema)
	if err := json.Unmarshal(b, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// docs/status.schema.json is the schema of what is answered.
func TestStatusSchema(t *testing.T) {
	want := schemaText(t)
	file := filepath.Join("..", "..", "..", "docs", "status.schema.json")
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != string(want) {
		t.Errorf("docs/status.schema.json is not that of the answer: go test ./daemon/internal/admin -run StatusSchema -update (%v)", err)
	}
	s := readSchema(t)
	for _, text := range []string{`{}`, `{"pid":"x"}`, `[]`, `{"state":"odd"}`} {
		var v any
		json.Unmarshal([]byte(text), &v)
		if len(s.fits(v, "$")) == 0 {
			t.Errorf("%s fits", text)
		}
	}
	f, _ := newTestFront(t, Options{})
	_, body := get(t, f, "/status")
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	for _, bad := range s.fits(v, "$") {
		t.Error(bad)
	}
}
