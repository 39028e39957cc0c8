package netserver

import (
	"net/netip"
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
		case (r.def != nil || r.words != nil) && k.Default == "":
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
	keys := monitor{}.LimitKeys()
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
	if e.Admission.NoQueue || e.Proxy.Mode != ProxyOff {
		t.Errorf("%v %q", e.Admission.NoQueue, e.Proxy.Mode)
	}
	c := Config{Limits: Limits{MaxConns: 640}, Shutdown: Shutdown{Grace: 20 * time.Second}}
	e = c.effective(nil)
	if e.Admission.Handshakes.All != 480 || e.Admission.MaxPerSource != 480 || e.Admission.MaxPerPrefix != 560 || e.Shutdown.Spread != 2*time.Second {
		t.Errorf("%d %d %d %v", e.Admission.Handshakes.All, e.Admission.MaxPerSource, e.Admission.MaxPerPrefix, e.Shutdown.Spread)
	}
	if grace, spread := c.graceTimes(); grace != e.Shutdown.Grace || spread != e.Shutdown.Spread {
		t.Errorf("%v %v", grace, spread)
	}
}

func TestCheckConfig(t *testing.T) {
	c := Config{
		Limits:    Limits{MaxLine: -1, MaxConns: -1},
		Admission: Admission{Penalty: Penalty{Time: -1}},
		Proxy:     Proxy{Mode: 7},
	}
	err := c.check()
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, field := range []string{"Limits.MaxLine", "Admission.Penalty.Time", "Proxy.Mode"} {
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
	network := netip.MustParsePrefix("10.0.0.1/8")
	for want, c := range map[string]Config{
		"handshake_queue none counts no handshakes":       {Admission: Admission{NoQueue: true, Handshakes: Bounds{PerSource: 1}}},
		"penalty_time 2m0s is more than penalty_max_time": {Admission: Admission{Penalty: Penalty{Time: 2 * time.Minute, MaxTime: time.Minute}}},
		`penalty_exempt "10.0.0.1/8" has bits set`:        {Admission: Admission{Penalty: Penalty{Exempt: []netip.Prefix{network}}}},
		"(Config.Proxy.Mode is 3)":                        {Proxy: Proxy{Mode: ProxyMode(len(proxyWords))}},
		"proxy_protocol_from the zero Prefix":             {Proxy: Proxy{From: []netip.Prefix{{}}}},
	} {
		if err := c.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
