package conf

import (
	"strings"
	"testing"
)

// FuzzEnv reads environments. Whatever is taken is a variable that was there,
// and nothing is dropped unseen: a name of ours becomes an entry, a problem or
// a warning.
func FuzzEnv(f *testing.F) {
	for _, text := range []string{
		"NETSERVER_USER=x\nNETSERVER_port=1", "NETSERVER_PORT=tcp://10.0.0.1:80\nNETSERVER_SERVICE_HOST=10.0.0.1",
		"NETSERVER__ROLE=x\nNETSERVER_=\nNETSERVER_SETSID= ", "netserver_user=x\nNETSERVER_User=x\nNETSERVER_USER=y", "=\nNETSERVER_PORT",
	} {
		f.Add(text, false)
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, strict bool) {
		environ := strings.Split(text, "\n")
		s := argSet()
		s.Strict = strict
		l := s.ReadEnv(environ)
		for _, e := range l.Entries {
			found := false
			for _, pair := range environ {
				name, _, _ := strings.Cut(pair, "=")
				found = found || name == e.Origin.File
			}
			if !found {
				t.Errorf("%s comes from %q, which is not there", e.Key, e.Origin.File)
			}
		}
		ours := 0
		for _, pair := range environ {
			name, _, _ := strings.Cut(pair, "=")
			if key, ok := strings.CutPrefix(name, envPrefix); ok && !strings.HasPrefix(key, "_") {
				ours++
			}
		}
		if seen := len(l.Entries) + len(l.Problems) + len(l.Warnings); ours > 0 && seen == 0 {
			t.Errorf("%d variables of ours, and nothing is said of any", ours)
		}
		r, err := s.Resolve(l)
		if (r == nil) == (err == nil) {
			t.Errorf("result %v, error %v", r, err)
		}
	})
}

// FuzzStrict resolves a command line and a file together. No value that is
// empty, no single key given twice by one of them and no value in quotes
// passes without a word.
func FuzzStrict(f *testing.F) {
	f.Add("--user\nx\n--user=y", "user z\nuser \"a\"\nport 1\n")
	f.Add("user=\n--port= ", "port 1\n")
	f.Add("--setsid\n--setsid\nport='1'", "")
	f.Fuzz(func(t *testing.T, args, text string) {
		s := &Set{Strict: true}
		s.Define(Key{Name: "port", List: true, When: Always}, Strings(new([]string)))
		s.Define(Key{Name: "user", When: Always}, String(new(string)))
		s.Define(Key{Name: "group", When: "user tls", NetServer: true}, String(new(string)))
		s.Define(Key{Name: "setsid", When: Always}, Bool(new(bool)))
		a, file := s.ReadArgs(strings.Split(args, "\n")).Layer, s.ReadLines("f", []byte(text))
		r, err := s.Resolve(a, file)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if strings.TrimSpace(line) == "" {
					t.Error("an empty line among the problems")
				}
			}
			return
		}
		for key := range r.Given() {
			for _, v := range r.Get(key) {
				if strings.Trim(v.Text, blanks) == "" {
					t.Errorf("%s is empty", key)
				}
				if key != "group" && inQuotes(v.Text) {
					t.Errorf("%s is %s, in quotes", key, v.Text)
				}
			}
		}
		for _, l := range []Layer{a, file} {
			count := make(map[string]int)
			for _, e := range l.Entries {
				count[e.Key]++
			}
			if count["user"] > 1 || count["setsid"] > 1 || count["group"] > 1 && len(r.Warnings) == 0 {
				t.Errorf("given several times: %v", count)
			}
		}
		problems, warnings := r.Ineffective(Facts{"tls": {Without: "has no effect"}}, nil)
		if g := r.Given()["group"]; len(problems) > 0 || isOn(g) != (len(warnings) > 0) {
			t.Errorf("group %v: %v, %v", g, problems, warnings)
		}
	})
}
