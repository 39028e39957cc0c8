package conf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// tomlSet has one key of each kind that TOML can give.
func tomlSet() *Set {
	var s Set
	s.Define(Key{Name: "port", List: true}, Strings(new([]string)))
	s.Define(Key{Name: "host", List: true}, Strings(new([]string)))
	s.Define(Key{Name: "user"}, String(new(string)))
	s.Define(Key{Name: "setsid"}, Bool(new(bool)))
	s.Define(Key{Name: "max_connections", PerPort: true}, Int(new(int), -1, 1000))
	s.Define(Key{Name: "listen", PerPort: true}, Int(new(int), 0, 4096))
	s.Define(Key{Name: "allow", List: true}, Strings(new([]string)))
	s.Define(Key{Name: "SSL_cert_file", Map: true, PerPort: true}, Raw(new([]Value)))
	s.Define(Key{Name: "SSL_ca_file", Map: true, List: true}, Raw(new([]Value)))
	s.Define(Key{Name: "background", PerPort: true, Refuse: "it is not implemented yet"}, nil)
	return &s
}

// showResult writes a result as KEY=VALUE@LINE items, and its blocks.
func showResult(r *Result) string {
	var parts []string
	add := func(at string, vals Values) {
		for _, key := range slices.Sorted(maps.Keys(vals)) {
			for _, v := range vals[key] {
				item := at + key
				if v.Name != "" {
					item += "." + v.Name
				}
				parts = append(parts, fmt.Sprintf("%s=%s@%d", item, v.Text, v.Origin.Line))
			}
			if len(vals[key]) == 0 {
				parts = append(parts, at+key+" empty")
			}
		}
	}
	add("", r.Given())
	for _, b := range r.Blocks {
		parts = append(parts, fmt.Sprintf("listen@%d", b.Origin.Line))
		add("  ", b.Values)
	}
	return strings.Join(parts, "\n")
}

func TestReadTOML(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"scalars", "user = \"x\"\nsetsid = false\nmax_connections = 1_00\n", "max_connections=1_00@3\nsetsid=false@2\nuser=x@1"},
		{"strings", "user = '''\na'b'''\n", "user=a'b@1"},
		{"escapes", `user = "a\tb\u00e9"`, "user=a\tbé@1"},
		{"lists", "port = [\n 80, # one\n '443/ssl',\n]\nallow = []\n", "allow empty\nport=80@2\nport=443/ssl@3"},
		{"list of one", "port = 80", "port=80@1"},
		{"array of one for a single key", "user = ['x']", "user=x@1"},
		{"mark", "\uFEFFuser = 'x'", "user=x@1"},
		{"windows", "\r\nuser = 'x'\r\n", "user=x@2"},
		{"table", "user = 'x'\n[SSL_cert_file]\n'a.example' = 'a.crt'\n'' = 'other.crt'\n",
			"SSL_cert_file.a.example=a.crt@3\nSSL_cert_file=other.crt@4\nuser=x@1"},
		{"inline table", "SSL_cert_file = {a = 'a.crt', b = 'b.crt'}", "SSL_cert_file.a=a.crt@1\nSSL_cert_file.b=b.crt@1"},
		{"dotted", "SSL_cert_file.b = 'b.crt'\nSSL_cert_file.a = 'a.crt'", "SSL_cert_file.b=b.crt@1\nSSL_cert_file.a=a.crt@2"},
		{"table of lists", "[SSL_ca_file]\na = ['1', '2']", "SSL_ca_file.a=1@2\nSSL_ca_file.a=2@2"},
		{"blocks", "user = 'x'\n[[listen]]\nport = 443\nlisten = 9\n[[listen]]\nport = ['80', '81']\nhost = '::1'\nproto = 'tcp'\n",
			"user=x@1\nlisten@2\n  listen=9@4\n  port=443@3\nlisten@5\n  host=::1@7\n  port=80@6\n  port=81@6\n  proto=tcp@8"},
		{"table in a block", "[[listen]]\nport = 443\n[listen.SSL_cert_file]\na = 'a.crt'\n[[listen]]\nport = 80",
			"listen@1\n  SSL_cert_file.a=a.crt@4\n  port=443@2\nlisten@5\n  port=80@6"},
		{"dotted in a block", "[[listen]]\nport = 443\nSSL_cert_file.a = 'a.crt'\nSSL_cert_file.b = 'b.crt'",
			"listen@1\n  SSL_cert_file.a=a.crt@3\n  SSL_cert_file.b=b.crt@4\n  port=443@2"},
		{"blocks in one line", "listen = [{port = 443, SSL_cert_file.a = 'a.crt'}, {port = 80}]",
			"listen@1\n  SSL_cert_file.a=a.crt@1\n  port=443@1\nlisten@1\n  port=80@1"},
		{"backlog", "listen = 5\nport = 80", "listen=5@1\nport=80@2"},
		{"ports and blocks", "port = 80\n[[listen]]\nport = 443\n", "port=80@1\nlisten@2\n  port=443@3"},
	}
	for _, tt := range tests {
		s := tomlSet()
		r, err := s.Resolve(s.ReadTOML("f.toml", []byte(tt.text)))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := showResult(r); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestReadTOMLProblems(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"syntax", "user = 'x'\nport = \n", "this is not TOML: unexpected character U+000A at start of value (f.toml:2)"},
		{"end", "user = 'x'\nport = [1,", "f.toml:2"},
		{"duplicate", "user = 'x'\nport = 1\nuser = 'y'\n", "user: it is given twice, first on line 1 (f.toml:3)"},
		{"all at once", "user = 'x'\nuser = 'y'\nfoo = 1\nsetsid = 'no'\nbad line\n",
			"user: it is given twice, first on line 1 (f.toml:2)\n" +
				"unknown key \"foo\" (f.toml:3)\n" +
				"setsid: \"no\" would be true to Net::Server, as is every text but 0: write 0 or 1 (f.toml:4)\n" +
				"this is not TOML: expected '=' after key (f.toml:5)"},
		{"type", "max_connections = 'many'", `max_connections: "many" is not a whole number (f.toml:1)`},
		{"range", "user = 99999999999999999999", "f.toml:1"},
		{"out of range", "\nmax_connections = 1001", `max_connections: "1001" is out of range: it must be from 0 to 1000, or none (f.toml:2)`},
		{"date", "user = 2020-01-01", "user: dates and times are not supported; write the value in quotes if it is meant as text (f.toml:1)"},
		{"two values", "user = ['x', 'y']", "user: it takes one value, but 2 are given (f.toml:1)"},
		{"no value", "user = []", "user: it takes one value, but 0 are given (f.toml:1)"},
		{"nested array", "port = [\n1,\n[2]]", "port: arrays cannot be nested (f.toml:2)"},
		{"table in array", "port = [1,\n{a=1}]", "port: an array cannot contain a table (f.toml:2)"},
		{"no map", "[user]\na = 'x'\n", "user: it cannot hold a table (a = ...) (f.toml:1); give it one value"},
		{"nested table", "[SSL_cert_file]\na = {b = 1}\n", "SSL_cert_file: tables cannot be nested (f.toml:2)"},
		{"deep table", "[SSL_cert_file]\na = 'x'\n[SSL_cert_file.b]\nc = 1\n", "SSL_cert_file: tables cannot be nested (f.toml:3)"},
		{"table twice", "[SSL_cert_file]\na = 'x'\n[SSL_cert_file]\nb = 'x'\n", "SSL_cert_file: it is given twice, first on line 1 (f.toml:3)"},
		{"name twice", "[SSL_cert_file]\na = 'x'\na = 'x'\n", "SSL_cert_file: a is given twice in the table (f.toml:3)"},
		{"repeated table", "[[SSL_cert_file]]\na = 'x'\n", "SSL_cert_file: only [[listen]] can be repeated as a table (f.toml:1)"},
		{"grouped", "[limits]\nmax_connections = 5\n", "unknown key \"limits\" (f.toml:1); keys are not grouped in tables: write max_connections above the first table"},
		{"one bracket", "[listen]\nport = 5\n", "listen: settings for one port go into a [[listen]] block, with two brackets (f.toml:1)"},
		{"listen twice", "listen = 5\n[[listen]]\nport = 1\n",
			"listen: it is given both as a value and as [[listen]] blocks (line 2); in a file with blocks, set it in each of them (f.toml:1)"},
		{"no port", "[[listen]]\nhost = '*'\n", "the [[listen]] block has no port (f.toml:1); add port = \"443/ssl\", for example"},
		{"not per port", "[[listen]]\nport = 1\nuser = 'x'\n",
			"user: it cannot be set per port (f.toml:3); write it above the first [[listen]], where it applies to all ports"},
		{"unknown in a block", "[[listen]]\nport = 1\nhots = 'x'\n", "unknown key \"hots\" (f.toml:3); did you mean host?"},
		{"refused", "background = true\n[[listen]]\nport = 1\nbackground = true\n",
			"background: not available: it is not implemented yet (f.toml:1)\nbackground: not available: it is not implemented yet (f.toml:4)"},
		{"conf_file", "conf_file = 'x'", "conf_file: a conf file cannot name another one (f.toml:1)"},
		{"dashes", "max-connections = 5", "unknown key \"max-connections\" (f.toml:1); did you mean max_connections?"},
		{"NUL", `user = "a\u0000b"`, "user: a value cannot hold a NUL character (f.toml:1)"},
		{"no UTF-8", "user = 'a\xffb'", "f.toml:1"},
	}
	for _, tt := range tests {
		s := tomlSet()
		_, err := s.Resolve(s.ReadTOML("f.toml", []byte(tt.text)))
		switch {
		case err == nil:
			t.Errorf("%s: no error", tt.name)
		case strings.HasPrefix(tt.want, "f.toml:"):
			if !strings.HasSuffix(err.Error(), "("+tt.want+")") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", tt.name, err)
			}
		case err.Error() != tt.want:
			t.Errorf("%s:\n got %s\nwant %s", tt.name, err, tt.want)
		}
	}
}

// TestTOMLOfOthers reads a file that an application uses as well.
func TestTOMLOfOthers(t *testing.T) {
	text := "user = 'x'\n[app]\ndeep = {a = {b = 2020-01-01}}\n[app.more]\nx = 1\n[[app.list]]\ny = [[1]]\n[[rows]]\nz = 1\n[[rows]]\nz = 2\n"
	for _, mode := range []Unknown{KeepUnknown, WarnUnknown} {
		s := tomlSet()
		s.Unknown = mode
		r, err := s.Resolve(s.ReadTOML("f.toml", []byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, e := range r.Leftover {
			keys = append(keys, fmt.Sprintf("%s@%d", e.Key, e.Origin.Line))
		}
		if got := strings.Join(keys, " "); got != "app@2 rows@8" {
			t.Errorf("left over: %s", got)
		}
		if want := map[Unknown]int{KeepUnknown: 0, WarnUnknown: 2}[mode]; len(r.Warnings) != want {
			t.Errorf("mode %d: warnings %q", mode, r.Warnings)
		}
	}
}
