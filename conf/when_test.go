package conf

import (
	"strings"
	"testing"
)

// whenSet has keys with conditions.
func whenSet() *Set {
	s := &Set{Strict: true}
	def := func(name string, when When, theirs bool) {
		s.Define(Key{Name: name, When: when, NetServer: theirs, PerPort: true}, String(new(string)))
	}
	def("always", Always, false)
	def("undeclared", "", false)
	def("ours", "tls", false)
	def("theirs", "tls", true)
	def("guard", "sure", true)
	def("both", "tls on", false)
	def("either", "on|other", false)
	def("on", Always, false)
	def("other", Always, false)
	s.Define(Key{Name: "port", List: true}, Strings(new([]string)))
	s.Define(Key{Name: "def", Default: "5", When: "tls"}, String(new(string)))
	fixed := "x"
	s.Define(Key{Name: "code", When: "tls"}, String(&fixed))
	s.Define(Key{Name: "codeguard", When: "sure"}, String(&fixed))
	return s
}

func TestIdle(t *testing.T) {
	facts := Facts{
		"tls":  {Without: "has no effect without TLS", Hint: "write /ssl"},
		"sure": {Holds: true, Without: "cannot be had", Refuse: true},
	}
	unsure := facts.With(Facts{"sure": {Without: "cannot be had", Refuse: true}})
	tls := facts.With(Facts{"tls": {Holds: true}})
	for _, c := range []struct {
		text           string
		facts          Facts
		problem, warns string
	}{
		{"always x\nundeclared x\nguard x\n", facts, "", ""},
		{"ours x\n", facts, "ours has no effect without TLS (f:1); write /ssl, or leave ours out", ""},
		{"ours x\n", tls, "", ""},
		{"ours 0\n", facts, "", ""},
		{"ours OFF\n", facts, "", ""},
		{"def 5\n", facts, "", ""},
		{"def 0\n", facts, "def has no effect without TLS (f:1); write /ssl, or leave def out", ""},
		{"theirs x\n", facts, "", "theirs has no effect without TLS (f:1); write /ssl, or leave theirs out"},
		{"guard x\n", unsure, "guard cannot be had (f:1); leave it out\ncodeguard cannot be had; leave it out", ""},
		{"both x\n", tls, "both has no effect without on (f:1); give on too, or leave both out", ""},
		{"both x\non none\n", tls, "both has no effect without on (f:1); give on too, or leave both out", ""},
		{"both x\non 1\n", tls, "", ""},
		{"either x\n", facts, "either has no effect without on or other (f:1); give on or other too, or leave either out", ""},
		{"either x\nother 1\n", facts, "", ""},
	} {
		s := whenSet()
		r, err := s.Resolve(s.ReadLines("f", []byte(c.text)))
		if err != nil {
			t.Fatal(err)
		}
		problems, warnings := r.Ineffective(c.facts, nil)
		if got := errText(problems.err()); got != c.problem {
			t.Errorf("%q: problems\n%s\nwant\n%s", c.text, got, c.problem)
		}
		if got := errText(warnings.err()); got != c.warns {
			t.Errorf("%q: warnings\n%s\nwant\n%s", c.text, got, c.warns)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestIdleInBlocks(t *testing.T) {
	s := whenSet()
	r, err := s.Resolve(s.ReadTOML("f.toml", []byte("either = 'x'\n[[listen]]\nport = 1\non = 1\nboth = 'x'\nours = 'x'\n[[listen]]\nport = 2\neither = 'x'\n")))
	if err != nil {
		t.Fatal(err)
	}
	facts := Facts{"tls": {Without: "has no effect without TLS"}}
	problems, _ := r.Ineffective(facts, func(_ Place, k Key) Facts {
		return facts.With(Facts{"tls": {Holds: k.Name == "both", Without: "has no effect here"}})
	})
	want := "ours has no effect here (f.toml:6); leave it out\neither has no effect without on or other (f.toml:9); give on or other too, or leave either out"
	if got := errText(problems.err()); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestStrict(t *testing.T) {
	define := func() *Set {
		s := &Set{Strict: true}
		s.Define(Key{Name: "ours"}, String(new(string)))
		s.Define(Key{Name: "theirs", NetServer: true}, String(new(string)))
		s.Define(Key{Name: "list", List: true}, Strings(new([]string)))
		s.Define(Key{Name: "map", Map: true}, Raw(new([]Value)))
		s.Define(Key{Name: "off", Empty: EmptyTakesOff}, String(new(string)))
		s.Define(Key{Name: "text", Empty: EmptyIsText}, String(new(string)))
		s.Define(Key{Name: "first", Pick: func(v []Value) Value { return v[0] }}, String(new(string)))
		s.Define(Key{Name: "secret", Secret: true}, String(new(string)))
		s.Define(Key{Name: "port", List: true, Default: "20203"}, Strings(new([]string)))
		s.Define(Key{Name: "declared", When: Always}, String(new(string)))
		s.Define(Key{Name: "quotable", When: Always, NetServer: true}, String(new(string)))
		s.Define(Key{Name: "once", NotInFile: true}, String(new(string)))
		return s
	}
	for _, c := range []struct {
		args, file, problem, warns string
	}{
		{"ours=1 list=1 list=2 theirs=1", "ours 2\nlist 3\ntheirs 2\n", "", ""},
		{"ours=1 ours=1", "", "ours: it is given twice, first at argument 1 (argument 2); remove one of them", ""},
		{"ours=1", "ours 2\n\nours 3\nours 4\n", "ours: it is given twice, first at f:1 (f:3); remove one of them\nours: it is given twice, first at f:1 (f:4); remove one of them", ""},
		{"theirs=1 theirs=2", "", "", "theirs: it is given twice, first at argument 1 (argument 2); the last one wins, as in Net::Server; remove the other"},
		{"map=a.b=1 map=2 map=c.d=3", "", "", ""},
		{"map=a.b=1 map=a.b=2", "", "map: \"a.b\" is given twice, first at argument 1 (argument 2); remove one of them", ""},
		{"first=1 first=2", "", "", "first: of 1, 2, \"1\" is used (argument 1); remove the others"},
		{"secret=hidden secret=hidden", "", "secret: it is given twice, first at argument 1 (argument 2); remove one of them", ""},
		{"ours=", "", "ours: its value is empty (argument 1); a shell variable was probably not set; give it a value, or leave it out", ""},
		{"list=1 list=", "", "list: its value is empty (argument 2); a shell variable was probably not set; give it a value, or leave it out", ""},
		{"map=a.b=", "", "map: its value is empty (argument 1); a shell variable was probably not set; give it a value, or leave it out", ""},
		{"off=", "", "off: its value is empty (argument 1); a shell variable was probably not set; give it a value, or leave it out", ""},
		{"off=", "off x\n", "", ""},
		{"text=", "", "", ""},
		{"declared='x'", "", "declared: the quotes are part of the value (argument 1); leave them out", ""},
		{"", "declared \"a b\"\n", "declared: the quotes are part of the value (f:1); leave them out", ""},
		{"", "quotable \"a b\"\nours 'x'\n", "", "quotable: the quotes are part of the value (f:1); leave them out"},
		{"declared='x", "quotable x'\n", "", ""},
		{"once=1", "", "", ""},
		{"", "once 1\n", "once: it applies to a single run and is not allowed in a conf file; give it on the command line (f:1)", ""},
		{"once=1", "once 1\n", "once: it applies to a single run and is not allowed in a conf file; give it on the command line (f:1)", ""},
	} {
		s := define()
		r, err := s.Resolve(s.ReadArgs(strings.Fields(c.args)).Layer, s.ReadLines("f", []byte(c.file)))
		if got := errText(err); got != c.problem {
			t.Errorf("%q %q: problems\n%s\nwant\n%s", c.args, c.file, got, c.problem)
		}
		if err != nil {
			continue
		}
		if got := errText(Problems(r.Warnings).err()); got != c.warns {
			t.Errorf("%q %q: warnings\n%s\nwant\n%s", c.args, c.file, got, c.warns)
		}
	}
	s := define()
	_, err := s.Resolve(s.ReadEnv([]string{"NETSERVER_OURS= ", "NETSERVER_LIST="}))
	want := "ours: its value is blank (environment variable NETSERVER_OURS); give NETSERVER_OURS a value, or unset it"
	if got := errText(err); !strings.Contains(got, want) || !strings.Contains(got, "list: its value is empty") {
		t.Error(got)
	}
	s = define()
	if _, err := s.Resolve(s.ReadTOML("f.toml", []byte("list = []\n"))); err != nil {
		t.Error(err)
	}
	s = define()
	if _, err := s.Resolve(s.ReadTOML("f.toml", []byte("\nport = []\n"))); errText(err) != "port: it is an empty list (f.toml:2); name a port, or leave it out" {
		t.Error(err)
	}
	s = define()
	if _, err := s.Resolve(s.ReadTOML("f.toml", []byte("declared = '\"x\"'\n"))); err != nil {
		t.Error(err)
	}
	// Without Strict everything is as Net::Server has it.
	s = define()
	s.Strict = false
	if _, err := s.Resolve(s.ReadArgs([]string{"ours=1", "ours=", "list="}).Layer); err != nil {
		t.Error(err)
	}
}
