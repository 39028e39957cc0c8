package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A demo is a configuration as a part of a program has it.
type demo struct {
	Ports   []string
	User    string
	Max     int
	Timeout time.Duration
	On      bool
	Mode    fs.FileMode
	Buffer  int64
	Kind    string
	Cert    []Value
	Pass    string
	Double  string
}

func (c *demo) define(s *Set) {
	s.Define(Key{Name: "port", List: true, Default: "20203"}, Strings(&c.Ports))
	s.Define(Key{Name: "user", PerPort: true}, String(&c.User))
	s.Define(Key{Name: "max", Default: "10", PerPort: true}, Int(&c.Max, 1, 100))
	s.Define(Key{Name: "timeout", Default: "0.5"}, Seconds(&c.Timeout, -1, time.Hour))
	s.Define(Key{Name: "on", PerPort: true}, Bool(&c.On))
	s.Define(Key{Name: "mode"}, FileMode(&c.Mode))
	s.Define(Key{Name: "buffer"}, Size(&c.Buffer, 0, 1<<30))
	s.Define(Key{Name: "kind"}, Choice(&c.Kind, "flock", "pipe"))
	s.Define(Key{Name: "cert", Map: true}, Raw(&c.Cert))
	s.Define(Key{Name: "pass", Secret: true}, Choice(&c.Pass, "sesame", "apricot"))
	s.Define(Key{Name: "double", Bool: true}, Func(func(vals []Value) error {
		c.Double = last(vals).Text
		if c.Double == "bad" {
			return errors.Join(fmt.Errorf("%q is bad", c.Double), vals[0].Errorf("really"))
		}
		return nil
	}))
	s.Define(Key{Name: "later", Refuse: "it is not implemented yet"}, nil)
}

func newDemo() (*demo, *Set) {
	c, s := new(demo), new(Set)
	c.define(s)
	return c, s
}

func layer(src Source, pairs ...string) Layer {
	l := Layer{Source: src}
	for i := 0; i < len(pairs); i += 2 {
		at := Origin{Source: src, Line: i/2 + 1}
		if src == SourceFile {
			at.File = "f.conf"
		}
		l.Entries = append(l.Entries, Entry{Key: pairs[i], Origin: at, Values: []Value{{Text: pairs[i+1], Origin: at}}})
	}
	return l
}

func TestStrongestLayerSetsAll(t *testing.T) {
	c, s := newDemo()
	fixed := Values{}
	fixed.Set("max", "1")
	layers := []Layer{
		layer(SourceFile, "port", "1", "port", "2", "user", "file", "max", "5", "buffer", "64k"),
		layer(SourceRun, "port", "3", "user", "run", "max", "4"),
		layer(SourceEnv, "port", "4", "port", "5", "max", "3"),
		layer(SourceArgs, "max", "2", "max", "7", "on", "1"),
		LayerOf(SourceCode, fixed),
	}
	r, err := s.Resolve(layers...)
	if err != nil {
		t.Fatal(err)
	}
	want := demo{Ports: []string{"4", "5"}, User: "run", Max: 1, On: true, Buffer: 64 << 10, Timeout: time.Second / 2}
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("%+v", *c)
	}
	got, err := json.Marshal(map[string]any{"options": r.Options(), "origin": r.Origins()})
	if err != nil {
		t.Fatal(err)
	}
	const wantJSON = `{"options":{"buffer":"64k","max":"1","on":"1","port":["4","5"],"timeout":"0.5","user":"run"},` +
		`"origin":{"buffer":"f.conf:5","max":"code","on":"command line","port":"environment","timeout":"default","user":"run arguments"}}`
	if string(got) != wantJSON {
		t.Errorf("got  %s\nwant %s", got, wantJSON)
	}
	if got := r.Get("timeout"); len(got) != 1 || got[0].Text != "0.5" {
		t.Errorf("%v", got)
	}

	// What was given, handed to another process, is the same configuration.
	c2, s2 := newDemo()
	r2, err := s2.Resolve(LayerOf(SourceCode, r.Given()))
	if err != nil || !reflect.DeepEqual(*c2, want) || !reflect.DeepEqual(r2.Origins(), r.Origins()) {
		t.Errorf("%v %+v %v", err, *c2, r2.Origins())
	}
}

func TestLastOfOneLayerHolds(t *testing.T) {
	c, s := newDemo()
	l := layer(SourceArgs, "user", "a", "user", "b")
	l.Entries = append(l.Entries,
		Entry{Key: "cert", Values: []Value{{Name: "a", Text: "1"}, {Name: "b", Text: "2"}}},
		Entry{Key: "cert", Values: []Value{{Name: "b", Text: "3"}, {Text: "4"}}})
	r, err := s.Resolve(l)
	if err != nil {
		t.Fatal(err)
	}
	if c.User != "b" || !reflect.DeepEqual(r.Options()["cert"], map[string]any{"a": "1", "b": "3", "": "4"}) {
		t.Errorf("%+v %v", c, r.Options())
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, s := newDemo()
	_, err := s.Resolve(
		layer(SourceFile, "usr", "x", "max", "many", "later", "1", "double", "bad", "cert", ""),
		layer(SourceArgs, "on", "off", "pass", "swordfish", "kind", "floc", "later", "x", "timeout", "2h"),
		layer(SourceEnv, "mode", "999", "buffer", "1T"),
		Layer{Source: SourceFile, Problems: Problems{&Problem{Err: errors.New("reader's own\nproblem"), Origin: Origin{Source: SourceFile, File: "a.conf", Line: 3}}}},
	)
	const want = `on: "off" would be true to Net::Server, as is every text but 0: write 0 or 1 (argument 1)
pass: ******** is not a valid value (argument 2)
kind: "floc" is not one of flock, pipe (argument 3); did you mean flock?
later: not available: it is not implemented yet (argument 4)
timeout: "2h" is out of range: it must be from 0 to 3600, or none (argument 5)
mode: "999" is not a file mode in octal, such as 0660 (environment)
buffer: "1T" is not a size such as 4096, 64K or 16M (environment)
reader's own\nproblem (a.conf:3)
unknown key "usr" (f.conf:1); did you mean user?
max: "many" is not a whole number (f.conf:2)
later: not available: it is not implemented yet (f.conf:3)
double: "bad" is bad (f.conf:4)
double: really (f.conf:4)`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	if !errors.Is(err, ErrUnknownKey) || !errors.Is(err, ErrRefused) {
		t.Error("the sentinels are not found")
	}
	p, ok := errors.AsType[*Problem](err)
	if !ok || p.Key != "on" || p.Origin.Source != SourceArgs {
		t.Errorf("%+v", p)
	}
}

func TestUnknownKeysMode(t *testing.T) {
	define := func(s *Set) { s.Define(Key{Name: "unknown_keys"}, UnknownKeys(&s.Unknown)) }
	bad := layer(SourceFile, "prt", "1", "user", "x")
	_, s := newDemo()
	define(s)
	if _, err := s.Resolve(bad); err == nil {
		t.Error("an unknown key was accepted")
	}
	r, err := s.Resolve(bad, layer(SourceArgs, "unknown_keys", "WARN"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Warnings) != 1 || r.Warnings[0].Error() != `unknown key "prt" (f.conf:1); did you mean port?` || len(r.Leftover) != 1 {
		t.Errorf("%q %+v", r.Warnings, r.Leftover)
	}
	if _, err := s.Resolve(bad); err == nil {
		t.Error("the mode of an earlier Resolve still holds")
	}
	if _, err := s.Resolve(layer(SourceArgs, "unknown_keys", "ignore")); err == nil {
		t.Error("an unknown mode was accepted")
	}
}

func TestUnknownEnvironment(t *testing.T) {
	_, s := newDemo()
	_, err := s.Resolve(s.ReadEnv([]string{"NETSERVER_USR=x"}))
	const want = `unknown key "NETSERVER_USR" (environment variable NETSERVER_USR); did you mean NETSERVER_USER?`
	if err == nil || err.Error() != want {
		t.Error(err)
	}
}

func TestResolveAgainStartsFromDefaults(t *testing.T) {
	c, s := new(demo), new(Set)
	c.User = "initial"
	c.define(s)
	if _, err := s.Resolve(layer(SourceFile, "user", "x", "max", "5", "on", "1", "port", "1")); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if c.User != "initial" || c.Max != 10 || c.On || len(c.Ports) != 1 || c.Ports[0] != "20203" {
		t.Errorf("%+v", c)
	}
	if got := r.Options(); got["user"] != "initial" || r.Origins()["user"] != "default" || len(r.Given()) != 0 {
		t.Errorf("%v %v %v", got, r.Origins(), r.Given())
	}
}

func TestEmptyList(t *testing.T) {
	c, s := newDemo()
	l := Layer{Source: SourceRun, Entries: []Entry{{Key: "port", Origin: Origin{Source: SourceRun}}}}
	r, err := s.Resolve(l, layer(SourceFile, "port", "1"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Ports) != 0 || r.Origins()["port"] != "run arguments" || !reflect.DeepEqual(r.Options()["port"], []string{}) {
		t.Errorf("%v %v %v", c.Ports, r.Origins(), r.Options())
	}
}

func TestBlocksAreValuesOfPort(t *testing.T) {
	const text = "[[listen]]\nport = '1'\n"
	c, s := newDemo()
	r, err := s.Resolve(s.ReadTOML("f.toml", []byte(text)))
	if err != nil || len(r.Blocks) != 1 || len(c.Ports) != 0 {
		t.Errorf("%v %+v %v: the default port beside a block", err, r.Blocks, c.Ports)
	}
	if _, ok := r.Options()["port"]; ok {
		t.Error("a port in the options that nobody gave")
	}
	r, err = s.Resolve(s.ReadTOML("f.toml", []byte(text)), layer(SourceArgs, "port", "2"))
	if err != nil || len(r.Blocks) != 0 || len(c.Ports) != 1 {
		t.Errorf("%v %+v %v: blocks beside the ports of a stronger layer", err, r.Blocks, c.Ports)
	}
	_, err = s.Resolve(s.ReadTOML("f.toml", []byte("[[listen]]\nhost='x'\n")), layer(SourceArgs, "port", "2"))
	if err == nil {
		t.Error("a faulty block passes because it is not used")
	}
}

func TestApply(t *testing.T) {
	c, s := newDemo()
	r, err := s.Resolve(s.ReadTOML("f.toml", []byte("user = 'all'\nmax = 20\n[[listen]]\nport = '1'\nmax = 30\non = true\n")))
	if err != nil {
		t.Fatal(err)
	}
	one := *c
	var perPort Set
	one.define(&perPort)
	if err := perPort.Apply(r.Blocks[0].Values); err != nil {
		t.Fatal(err)
	}
	if one.User != "all" || one.Max != 30 || !one.On || c.Max != 20 || c.On {
		t.Errorf("%+v of %+v", one, *c)
	}
	bad := Values{"max": {{Text: "x", Origin: Origin{Source: SourceFile, File: "f.toml", Line: 5}}}}
	bad.Set("usr", "x")
	bad.Set("later", "x")
	bad.Set("user", "x", "y")
	const want = `unknown key "usr" (code); did you mean user?
later: not available: it is not implemented yet (code)
user: it takes one value, but 2 are given (code)
max: "x" is not a whole number (f.toml:5)`
	err = perPort.Apply(bad)
	// Which of the keys in a map comes first is not told, but it is stable.
	lines := strings.Split(fmt.Sprint(err), "\n")
	for _, line := range strings.Split(want, "\n") {
		if !strings.Contains(fmt.Sprint(err), line) {
			t.Errorf("missing: %s\nin: %v", line, err)
		}
	}
	if len(lines) != 4 {
		t.Errorf("%d lines", len(lines))
	}
}

// TestErrorsOfOthers checks that an error which names its key and place, as
// those of the packages above do, does not say them twice.
func TestErrorsOfOthers(t *testing.T) {
	var s Set
	s.Define(Key{Name: "port", List: true}, Func(func(vals []Value) error {
		return fmt.Errorf("port %s is no port (%s)", vals[0].Text, vals[0].Origin)
	}))
	_, err := s.Resolve(layer(SourceFile, "port", "x", "port", "y"))
	if err == nil || err.Error() != "port x is no port (f.conf:1)" {
		t.Error(err)
	}
	_, err = s.Resolve(layer(SourceArgs, "port", "x", "port", "y"))
	if err == nil || err.Error() != "port x is no port (command line)" {
		t.Error(err)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	_, s := newDemo()
	r, err := s.Resolve(layer(SourceFile, "pass", "sesame"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Options()["pass"]; got != masked || r.Get("pass")[0].Text != "sesame" {
		t.Errorf("%v", got)
	}
	s = new(Set)
	s.Define(Key{Name: "url", Show: func(text string) string { return strings.ToUpper(text) }}, String(new(string)))
	if r, err = s.Resolve(layer(SourceFile, "url", "x")); err != nil || r.Options()["url"] != "X" || r.Get("url")[0].Text != "x" {
		t.Errorf("%v %v", r.Options(), err)
	}
}

func TestDefinePanics(t *testing.T) {
	tests := map[string]func(s *Set){
		"twice":          func(s *Set) { s.Define(Key{Name: "user"}, String(new(string))) },
		"in capitals":    func(s *Set) { s.Define(Key{Name: "USER"}, String(new(string))) },
		"bad name":       func(s *Set) { s.Define(Key{Name: "a-b"}, String(new(string))) },
		"no name":        func(s *Set) { s.Define(Key{}, String(new(string))) },
		"underscore":     func(s *Set) { s.Define(Key{Name: "_x"}, String(new(string))) },
		"bound to nil":   func(s *Set) { s.Define(Key{Name: "x"}, nil) },
		"twice, refused": func(s *Set) { s.Define(Key{Name: "later", Refuse: "no"}, nil) },
	}
	for name, f := range tests {
		_, s := newDemo()
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f(s)
		}()
	}
}

func TestOrigin(t *testing.T) {
	tests := []struct {
		o            Origin
		text, places string
	}{
		{Origin{}, "default", ""},
		{Origin{Source: SourceFile, File: "f", Line: 2}, "f:2", "f:2"},
		{Origin{Source: SourceFile, File: "f"}, "f:0", "f"},
		{Origin{Source: SourceArgs, Line: 2}, "command line", "argument 2"},
		{Origin{Source: SourceArgs}, "command line", "command line"},
		{Origin{Source: SourceRun, Line: 2}, "run arguments", "run arguments, item 2"},
		{Origin{Source: SourceEnv, File: "X"}, "environment", "environment variable X"},
		{Origin{Source: SourceCode}, "code", "code"},
	}
	for _, tt := range tests {
		if tt.o.String() != tt.text || tt.o.Place() != tt.places {
			t.Errorf("%+v: %q, %q", tt.o, tt.o.String(), tt.o.Place())
		}
	}
}

func TestProblemIsOneLine(t *testing.T) {
	p := &Problem{Key: "k", Err: errors.New("a\nb\x1b[31m\u202ec\xff é"), Hint: "d\te"}
	if got, want := p.Error(), `k: a\nb\x1b[31m\u202ec\xff é; d\te`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	long := quote(strings.Repeat("x", 1000))
	if len(long) > 100 {
		t.Error(long)
	}
}
