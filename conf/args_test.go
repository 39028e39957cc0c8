package conf

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// argSet has one key of each kind.
func argSet() *Set {
	var s Set
	s.Define(Key{Name: "port", List: true, Arg: "SPEC"}, Strings(new([]string)))
	s.Define(Key{Name: "user", Arg: "NAME"}, String(new(string)))
	s.Define(Key{Name: "setsid"}, Bool(new(bool)))
	s.Define(Key{Name: "max_connections"}, Int(new(int), 0, 100))
	s.Define(Key{Name: "background", Bool: true, Refuse: "it is not implemented yet"}, nil)
	return &s
}

// show writes a layer as KEY=VALUE items and its problems.
func show(l Layer) string {
	var parts []string
	for _, e := range l.Entries {
		for _, v := range e.Values {
			item := e.Key
			if v.Name != "" {
				item += "." + v.Name
			}
			parts = append(parts, fmt.Sprintf("%s=%s@%d", item, v.Text, v.Origin.Line))
		}
		if len(e.Values) == 0 {
			parts = append(parts, fmt.Sprintf("%s@%d", e.Key, e.Origin.Line))
		}
	}
	for _, p := range l.Problems {
		parts = append(parts, "! "+p.Error())
	}
	return strings.Join(parts, "\n")
}

func TestReadArgs(t *testing.T) {
	tests := []struct {
		args string // blanks separate; · stands for one inside an argument
		want string
	}{
		{"", ""},
		{"--port 1 --port=2 port=3 port 4", "port=1@1\nport=2@3\nport=3@4\nport=4@5"},
		{"fork --user x", "user=x@2"},
		{"--user x fork", "user=x@1\n! unknown argument \"fork\" (argument 3); the type of server comes first: Fork"},
		{"--user x PreFork", "user=x@1\n! unknown argument \"PreFork\" (argument 3); the type of server comes first: PreFork"},
		{"forc", `! unknown argument "forc" (argument 1); did you mean Fork?`},
		{"--setsid", "setsid=1@1"},
		{"--setsid 0 --user x", "setsid=0@1\nuser=x@3"},
		{"--setsid user=x", "setsid=1@1\nuser=x@2"},
		{"--setsid user x", "setsid=1@1\nuser=x@2"},
		{"--setsid foo=x", "setsid=foo=x@1"},
		{"--setsid -h", "setsid=1@1"},
		{"--setsid -- cat", "setsid=1@1"},
		{"--user=", "user=@1"},
		{"--user=a·b", "user=a b@1"},
		{"--user·x", "user=x@1"},
		{"--user -1", "user=-1@1"},
		{"--user=--", "user=--@1"},
		{"--user=%41", "user=%41@1"},
		{"--user", "! user: it needs a value (argument 1); write --user=NAME"},
		{"--user --port 1", "port=1@2\n! user: it needs a value (argument 1); write --user=NAME"},
		{"--user -- cat", "! user: it needs a value (argument 1); write --user=NAME"},
		{"--max-conections 5 --user x", "max-conections=5@1\nuser=x@3"},
		{"--foo --bar=1 baz=2 --user x", "foo=@1\nbar=1@2\nbaz=2@3\nuser=x@4"},
		{"-port 80 --user x", "user=x@3\n! unknown argument \"-port\" (argument 1); keys begin with two dashes: write --port"},
		{"-max-conections=5", `! unknown argument "-max-conections=5" (argument 1); keys begin with two dashes: write --max_connections`},
		{"-x", `! unknown argument "-x" (argument 1); keys begin with two dashes and are whole words; --help lists them`},
		{"-1", `! unknown argument "-1" (argument 1); keys begin with two dashes`},
		{"-", `! unknown argument "-" (argument 1); a program to run follows --`},
		{"cat -n file", "! unknown argument \"cat\" (argument 1); a program to run follows --\n" +
			`! unknown argument "-n" (argument 2); keys begin with two dashes and are whole words; --help lists them`},
		{"sh script a b --user x", "user=x@5\n! unknown argument \"sh\" (argument 1); a program to run follows --"},
		{"help", `! unknown argument "help" (argument 1); write --help`},
		{"version", `! unknown argument "version" (argument 1); write --version`},
		{"8443/ssl", `! unknown argument "8443/ssl" (argument 1); write --port 8443/ssl`},
		{"--port 443 ssl", "port=443@1\n! unknown argument \"ssl\" (argument 3); a port is one word, such as 443/ssl; repeat --port for each further one"},
		{"--port 443 ./prog", "port=443@1\n! unknown argument \"./prog\" (argument 3); a program to run follows --"},
		{"max_conections 5", `! unknown argument "max_conections" (argument 1); did you mean max_connections?`},
		{"--=x", `! unknown argument "--=x" (argument 1); a program to run follows --`},
		{"--user x --", "user=x@1\n! no program follows -- (argument 3)"},
		{"--user·a·b", `! unknown argument "--user a b" (argument 1); write --user=NAME`},
	}
	for _, tt := range tests {
		args := strings.Fields(tt.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "·", " ")
		}
		a := argSet().ReadArgs(args, "Single", "Fork", "PreFork")
		if got := show(a.Layer); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", args, got, tt.want)
		}
	}
}

func TestReadArgsParts(t *testing.T) {
	a := argSet().ReadArgs([]string{"PREFORK", "-h", "--user", "x", "-V", "--", "prog", "--help", "", "--", "%41"}, "Fork", "PreFork")
	want := []string{"prog", "--help", "", "--", "%41"}
	if a.Type != "PreFork" || !a.Help || !a.Version || !slices.Equal(a.Program, want) || len(a.Layer.Problems) > 0 {
		t.Errorf("%+v", a)
	}
	s := argSet()
	s.Define(Key{Name: "version", Bool: true}, String(new(string)))
	a = s.ReadArgs([]string{"--version"})
	if a.Version || show(a.Layer) != "version=1@1" {
		t.Errorf("a key of the caller's was taken for a flag: %+v", a)
	}
	if a := argSet().ReadArgs([]string{"--port", "1"}, "Fork"); a.Program != nil || a.Type != "" {
		t.Errorf("%+v", a)
	}
}

func TestTakeArgs(t *testing.T) {
	tests := []struct{ args, want, rest []string }{
		{[]string{"--foo", "user", "x", "bar"}, []string{"user=x@2"}, []string{"--foo", "bar"}},
		{[]string{"--", "--user", "x"}, []string{"user=x@2"}, []string{"--"}},
		{[]string{"-h", "--help"}, nil, []string{"-h", "--help"}},
		{[]string{"--user", "--", "x"}, []string{"user=--@1"}, []string{"x"}},
		{[]string{"--setsid", "--", "x"}, []string{"setsid=1@1"}, []string{"--", "x"}},
	}
	for _, tt := range tests {
		l, rest := argSet().TakeArgs(SourceArgs, tt.args)
		if show(l) != strings.Join(tt.want, "\n") || !reflect.DeepEqual(rest, tt.rest) {
			t.Errorf("%q: %s, rest %q", tt.args, show(l), rest)
		}
	}
}

func TestReadEnv(t *testing.T) {
	tests := []struct {
		env  []string
		want string
	}{
		{[]string{"PATH=/bin", "NETSERVER_USER=x"}, "user=x@0"},
		{[]string{"NETSERVER_user=x=y"}, "user=x=y@0"},
		{[]string{"NETSERVER_Max_Connections=7"}, "max_connections=7@0"},
		{[]string{"NETSERVER_PORT=1\n2\r\n\n3\n"}, "port=1@0\nport=2@0\nport=3@0"},
		{[]string{"NETSERVER_PORT=1"}, "port=1@0"},
		{[]string{"NETSERVER_PORT="}, "port=@0"},
		{[]string{"NETSERVER_USER=a\nb"}, "user=a\nb@0"},
		{[]string{"NETSERVER__WORKER=3", "NETSERVER__=x"}, ""},
		{[]string{"netserver_user=x", "NETSERVERUSER=x"}, ""},
		{[]string{"NETSERVER_USERS=x"}, "USERS=x@0"},
		{[]string{"NETSERVER_USER=a", "NETSERVER_user=b"}, "user=a@0\n" +
			"! user: NETSERVER_USER sets it too, and neither variable overrides the other; set only one (environment variable NETSERVER_user)"},
	}
	for _, tt := range tests {
		if got := show(argSet().ReadEnv(tt.env)); got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.env, got, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"port", "host", "max_connections", "SSL_cert_file", "SSL_key_file", "setsid", "conf_file"}
	tests := []struct{ name, want string }{
		{"max_conections", "max_connections"},
		{"MAX-CONNECTIONS", "max_connections"},
		{"prot", "port"},
		{"ssl_certfile", "SSL_cert_file"},
		{"cert_file", "SSL_cert_file"},
		{"conf", "conf_file"},
		{"setsdi", "setsid"},
		{"x", ""},
		{"", ""},
		{"--", ""},
		{"something_else", ""},
		{strings.Repeat("port", 1000), ""},
	}
	for _, tt := range tests {
		if got := Nearest(tt.name, known); got != tt.want {
			t.Errorf("Nearest(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := Nearest("port", nil); got != "" {
		t.Errorf("Nearest among none = %q", got)
	}
}

// The command's options may be spelled with dashes and in another case; those of
// a program that shares its arguments may not, nor does TakeArgs know of it.
func TestArgsInOtherSpellings(t *testing.T) {
	for how, want := range map[Unknown]string{RefuseUnknown: "cert_file", WarnUnknown: "Cert-File", KeepUnknown: "Cert-File", KeepInFiles: "Cert-File"} {
		var file string
		s := &Set{Unknown: how}
		s.Define(Key{Name: "cert_file"}, String(&file))
		a := s.ReadArgs([]string{"--Cert-File=a=b"})
		if len(a.Layer.Entries) != 1 || a.Layer.Entries[0].Key != want || a.Layer.Entries[0].Values[0].Text != "a=b" {
			t.Errorf("%v: %+v", how, a.Layer)
		}
		for _, other := range []string{"---cert-file", "--", "--cert-file\x00", "--Cert-Fil\u00e9"} {
			if a := s.ReadArgs([]string{other, "x"}); len(a.Layer.Entries) > 0 && a.Layer.Entries[0].Key == "cert_file" {
				t.Errorf("%q is taken for cert_file", other)
			}
		}
		if l, rest := s.TakeArgs(SourceArgs, []string{"--Cert-File", "x"}); len(l.Entries) > 0 || len(rest) != 2 {
			t.Errorf("TakeArgs: %+v %q", l, rest)
		}
	}
}
