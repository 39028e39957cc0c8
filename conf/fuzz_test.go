package conf

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// checkLayer resolves a layer in each mode and checks what must hold whatever
// the input was: nothing panics, problems are single printable lines, places
// exist, and what resolves can be printed.
func checkLayer(t *testing.T, s *Set, l Layer, lastLine int) {
	t.Helper()
	for _, e := range l.Entries {
		for _, v := range e.Values {
			if v.Origin.Line < 1 || v.Origin.Line > lastLine || v.Origin.Source != l.Source {
				t.Errorf("%s = %q is placed at %+v", e.Key, v.Text, v.Origin)
			}
		}
	}
	for _, mode := range []Unknown{RefuseUnknown, WarnUnknown, KeepUnknown} {
		s.Unknown = mode
		r, err := s.Resolve(l)
		var all Problems
		if errors.As(err, &all) {
			for _, e := range all {
				if text := e.Error(); text == "" || strings.ContainsAny(text, "\n\r\x1b\x00") || !utf8.ValidString(text) {
					t.Errorf("not a line: %q", text)
				}
			}
		}
		if (r == nil) == (err == nil) || len(l.Problems) > 0 && err == nil {
			t.Errorf("result %v, error %v", r, err)
		}
		if r != nil {
			if _, err := json.Marshal(map[string]any{"options": r.Options(), "origin": r.Origins()}); err != nil {
				t.Error(err)
			}
		}
	}
}

// lineRE is the pattern that Net::Server matches lines with.
var lineRE = regexp.MustCompile(`^[\s\v]*((?:--)?\w+)(?:[\s\v]*[=:][\s\v]*|[\s\v]+)(.+)`)

func FuzzReadLines(f *testing.F) {
	for _, c := range perlCases() {
		if c.File != nil {
			f.Add([]byte(*c.File))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := tomlSet()
		l := s.ReadLines("f.conf", data)
		checkLayer(t, s, l, strings.Count(string(data), "\n")+1)
		// Whatever is taken is what Net::Server would take.
		lines := strings.Split(strings.TrimPrefix(string(data), "\uFEFF"), "\n")
		for _, e := range l.Entries {
			line := lines[e.Origin.Line-1]
			m := lineRE.FindStringSubmatch(uncomment(line))
			if m == nil || strings.TrimPrefix(m[1], "--") != e.Key || m[2] != e.Values[0].Text {
				t.Errorf("%q: took %q = %q, Net::Server takes %q", line, e.Key, e.Values[0].Text, m)
			}
		}
	})
}

func FuzzArgs(f *testing.F) {
	for _, c := range perlCases() {
		f.Add(strings.Join(c.Argv, "\n"))
	}
	f.Add("prefork\n--setsid\n--max-conections\n5\n-x\n--\ncat\n--help")
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "\n")
		s := argSet()
		a := s.ReadArgs(args, "Fork", "PreFork")
		checkLayer(t, s, a.Layer, len(args))
		for i, p := range a.Program {
			if p != args[len(args)-len(a.Program)+i] {
				t.Errorf("the program's argument %d became %q", i, p)
			}
		}

		s = argSet()
		l, rest := s.TakeArgs(SourceRun, args)
		checkLayer(t, s, l, len(args))
		// What is left over is a part of what was given, in order.
		next := 0
		for _, r := range rest {
			for next < len(args) && args[next] != r {
				next++
			}
			if next++; next > len(args) {
				t.Fatalf("%q is not a part of %q", rest, args)
			}
		}
		if len(l.Entries)+len(l.Problems)+len(rest) > len(args) {
			t.Errorf("%d arguments became %d entries, %d problems and a rest of %d", len(args), len(l.Entries), len(l.Problems), len(rest))
		}
	})
}

func FuzzReadTOML(f *testing.F) {
	for _, text := range []string{
		"user = 'x'\nport = [80, '443/ssl']\n[[listen]]\nport = 1\n[listen.SSL_cert_file]\na = 'b'\n",
		"listen = [{port = 1, SSL_cert_file.a = 'b'}, {}]\n[SSL_ca_file]\na = ['b', 2020-01-01, 1e5, true, [1], {a = 1}]\n",
		"a.b.c = 1\na.b = 2\n[a]\n[[a]]\n[a.b]\n[listen]\n[[listen.x]]\n[listen.x.y]\n",
		"listen = 5\n[[listen]]\n\"\" = '\\u0000'\nmax_connections = -0x_1\n",
		"user = \"\"\"a\n\\\n b\"\"\"\n'' = nan\nuser.x = {}\nsetsid = {a = {b = {}}}",
		tablesText,
		"pool = [{name = 'a', targets = ['1'], rise = 3}, {}]\nlisten = [{port = 1, way = [{deny = 1}, {files = {a = 'b'}}]}]\n[[pool]]\n",
		"[[listen]]\nport = 1\nway = 5\n[[listen.way]]\n[listen.way.files]\na = 'b'\n[[listen.way.files]]\n[pool]\n[[pool.pool]]\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := tableSet()
		l := s.ReadTOML("f.toml", data)
		checkLayer(t, s, l, strings.Count(string(data), "\n")+1)
		if len(l.Problems) > 0 {
			return
		}
		// What is accepted is TOML, and all of it is there.
		var all map[string]any
		if err := toml.Unmarshal(withoutBOM(data), &all); err != nil {
			t.Fatal(err)
		}
		blocks := map[string][]Block{listenKey: l.Blocks, "pool": l.Tables["pool"]}
		for name, list := range blocks {
			if _, ok := all[name]; ok && len(list) > 0 {
				checkBlocks(t, name, all[name], list)
				delete(all, name)
			}
		}
		if len(all) != len(l.Entries) {
			t.Errorf("%d keys became %d entries", len(all), len(l.Entries))
		}
		for _, e := range l.Entries {
			if _, ok := all[e.Key]; !ok {
				t.Errorf("%q is not in the file", e.Key)
			}
		}
	})
}

// checkBlocks compares the tables of one name with what the file holds.
func checkBlocks(t *testing.T, name string, in any, blocks []Block) {
	t.Helper()
	list, _ := in.([]any)
	if len(list) != len(blocks) {
		t.Fatalf("%d tables [[%s]] became %d", len(list), name, len(blocks))
	}
	for i, b := range blocks {
		keys := list[i].(map[string]any)
		n := len(b.entries)
		for sub, inner := range b.Tables {
			checkBlocks(t, name+"."+sub, keys[sub], inner)
			n++
		}
		if len(keys) != n {
			t.Errorf("%d keys of [[%s]] became %d", len(keys), name, n)
		}
	}
}
