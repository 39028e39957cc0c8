package netserver

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/conf"
	"netserver/internal/admit"
	"netserver/outcome"
)

// fieldsOf returns the paths of all fields below a struct type, but not below
// those that whole names.
func fieldsOf(t reflect.Type, under string, whole map[string]bool) []string {
	var list []string
	for f := range t.Fields() {
		path := under + f.Name
		if f.Type.Kind() == reflect.Struct && !whole[path] {
			list = append(list, fieldsOf(f.Type, path+".", whole)...)
		} else {
			list = append(list, path)
		}
	}
	return list
}

func rows() map[string]bool {
	m := make(map[string]bool)
	for i := range settings {
		m[settings[i].field] = true
	}
	return m
}

func TestEveryFieldHasARow(t *testing.T) {
	have := rows()
	fields := fieldsOf(reflect.TypeFor[Config](), "", have)
	for _, f := range fields {
		if !have[f] {
			t.Errorf("Config.%s has no row in settings.go", f)
		}
	}
	for f := range have {
		if !slices.Contains(fields, f) {
			t.Errorf("settings.go has a row for %s, and Config no such field", f)
		}
	}
	if len(have) != len(settings) {
		t.Errorf("%d rows for %d fields", len(settings), len(have))
	}
	// That this can fail: a type with one field more.
	type more struct {
		Config
		New int
	}
	if got := fieldsOf(reflect.TypeFor[more](), "", have); !slices.Contains(got, "New") {
		t.Errorf("a new field is not seen: %q", got)
	}
}

// A row says what its key means as a whole, and only what its key can mean.
func TestRowsAgreeWithThemselves(t *testing.T) {
	var s conf.Set
	new(Config).Define(&s) // panics if a key is taken, or its field cannot be bound
	for i := range settings {
		r := &settings[i]
		if r.key == "" {
			continue
		}
		k, ok := s.Lookup(r.key)
		if !ok || k.Help == "" || k.Arg == "" || k.When == "" || k.Group == "" {
			t.Errorf("%s: %+v", r.key, k)
		}
		v := r.value(new(Config))
		switch {
		case r.def != nil && r.calc != nil:
			t.Errorf("%s has two defaults", r.key)
		case r.def != nil && k.Default == "":
			t.Errorf("%s: help does not tell its default", r.key)
		case r.calc != nil && !strings.Contains(r.help, "(default"):
			t.Errorf("%s: help does not put its default in words", r.key)
		case r.zero == noneIsRefused && (r.least == nil || r.def == nil && !r.outside):
			t.Errorf("%s cannot be none, and has no least value or no default", r.key)
		case (r.unit != "" || r.zero != zeroIsDefault) && !v.CanInt():
			t.Errorf("%s is a limit and no number", r.key)
		case r.unit == "" && (r.use != nil || r.each != nil || r.reason != admit.OK || r.ends != outcome.Served):
			t.Errorf("%s has no unit", r.key)
		}
	}
}

func TestEveryReasonHasAKey(t *testing.T) {
	keys := LimitKeys()
	if len(keys) != int(admit.Reasons)-1 || slices.Contains(keys, "") {
		t.Errorf("a reason has no key: %q", keys)
	}
	sorted := slices.Sorted(slices.Values(keys))
	if len(slices.Compact(sorted)) != len(keys) {
		t.Errorf("a limit refuses for two reasons: %q", keys)
	}
}

// Zero is the default and negative is none, for every number and time.
func TestDefaults(t *testing.T) {
	zero, negative := Config{}, Config{}
	for i := range settings {
		if r := &settings[i]; r.key != "" && r.table == nil && r.value(&negative).CanInt() {
			r.value(&negative).SetInt(-1)
		}
	}
	e, none := zero.effective(nil), negative.effective(nil)
	for i := range settings {
		r := &settings[i]
		if r.key == "" || r.table != nil || r.outside || !r.value(&negative).CanInt() {
			continue
		}
		got := r.value((*Config)(&e))
		if want := reflect.ValueOf(r.def); r.def != nil && got.Int() != want.Int() {
			t.Errorf("%s: %v, not %v", r.key, got, want)
		}
		if n := r.value((*Config)(&none)); n.Int() != 0 {
			t.Errorf("%s: none is %v", r.key, n)
		}
	}
	if e.HandshakeQueue != "fair" || e.ProxyProtocol != ProxyOff {
		t.Errorf("%q %q", e.HandshakeQueue, e.ProxyProtocol)
	}
	c := Config{MaxConns: 640, Grace: 20 * time.Second}
	e = c.effective(nil)
	if e.MaxHandshakes != 480 || e.MaxPerSource != 480 || e.MaxPerPrefix != 560 || e.GraceSpread != 2*time.Second {
		t.Errorf("%d %d %d %v", e.MaxHandshakes, e.MaxPerSource, e.MaxPerPrefix, e.GraceSpread)
	}
	if grace, spread := c.graceTimes(); grace != e.Grace || spread != e.GraceSpread {
		t.Errorf("%v %v", grace, spread)
	}
}

func TestCheckConfig(t *testing.T) {
	c := Config{MaxLine: -1, PenaltyTime: -1, HandshakeQueue: "far", MaxConns: -1}
	err := c.check()
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, field := range []string{"MaxLine", "PenaltyTime", "HandshakeQueue"} {
		if !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("nothing of %s in %v", field, err)
		}
	}
	if strings.Contains(err.Error(), "MaxConns") {
		t.Error(err)
	}
	if err := new(Config).check(); err != nil {
		t.Error(err)
	}
}
