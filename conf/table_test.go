package conf

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// pool is what a [[pool]] of tableSet says.
type pool struct {
	Name    string
	Targets []string
	Wait    time.Duration
	Check   string
	Rise    int
	Pass    string
}

func (p *pool) define(s *Set) {
	s.Define(Key{Name: "name", Required: true, Help: "by which routes name it"}, String(&p.Name))
	s.Define(Key{Name: "targets", List: true, Required: true, Arg: "TARGET", Help: "who serves"}, Strings(&p.Targets))
	s.Define(Key{Name: "wait", Arg: "SECONDS", Default: "5", Inherits: true, Help: "for a target"}, Seconds(&p.Wait, 0, time.Hour))
	s.Define(Key{Name: "check", Default: "off", Help: "ask them"}, String(&p.Check))
	s.Define(Key{Name: "rise", When: "check"}, Int(&p.Rise, 1, 9))
	s.Define(Key{Name: "pass", Secret: true}, String(&p.Pass))
	s.Define(Key{Name: "later", Refuse: "it is not implemented yet"}, nil)
}

// way is what a [[listen.way]] of tableSet says.
type way struct {
	Names []string
	Pool  string
	Files []Value
	Deny  bool
}

func (w *way) define(s *Set) {
	s.Define(Key{Name: "names", List: true, When: "tls"}, Strings(&w.Names))
	s.Define(Key{Name: "pool", Help: "the name of a [[pool]]"}, String(&w.Pool))
	s.Define(Key{Name: "files", Map: true}, Raw(&w.Files))
	s.Define(Key{Name: "deny"}, Bool(&w.Deny))
}

// tableSet is tomlSet with tables.
func tableSet() *Set {
	s := tomlSet()
	s.Strict = true
	s.Define(Key{Name: "wait", PerPort: true}, String(new(string)))
	s.Define(Key{Name: "check", NotInFile: true}, Bool(new(bool)))
	new(pool).define(s.DefineTable(Table{Name: "pool", Help: "Targets under one name."}))
	new(way).define(s.DefineTable(Table{Name: "listen.way", Help: "Who goes where."}))
	return s
}

const tablesText = `user = 'x'
[[pool]]
name = 'a'
targets = ['1', '2']
pass = 'hunter2'
[[pool]]
name = 'b'
targets = '3'
[[listen]]
port = 443
[[listen.way]]
names = ['x.example', 'y.example']
pool = 'a'
[listen.way.files]
'x.example' = 'x.crt'
[listen.SSL_cert_file]
a = 'a.crt'
[[listen.way]]
deny = true
[[listen]]
port = 80
`

func TestTables(t *testing.T) {
	inline := "user = 'x'\npool = [{name = 'a', targets = ['1', '2'], pass = 'hunter2'}, {name = 'b', targets = '3'}]\n" +
		"listen = [{port = 443, SSL_cert_file.a = 'a.crt', way = [{names = ['x.example', 'y.example'], pool = 'a', files = {'x.example' = 'x.crt'}}, {deny = true}]}, {port = 80}]\n"
	for name, text := range map[string]string{"blocks": tablesText, "inline": inline} {
		s := tableSet()
		r, err := s.Resolve(s.ReadTOML("f.toml", []byte(text)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pools := make([]pool, len(r.Tables["pool"]))
		for i, b := range r.Tables["pool"] {
			if err := b.Read(pools[i].define); err != nil {
				t.Error(err)
			}
		}
		want := []pool{
			{Name: "a", Targets: []string{"1", "2"}, Wait: 5 * time.Second, Check: "off", Pass: "hunter2"},
			{Name: "b", Targets: []string{"3"}, Wait: 5 * time.Second, Check: "off"},
		}
		if !reflect.DeepEqual(pools, want) {
			t.Errorf("%s: %+v", name, pools)
		}
		if len(r.Blocks) != 2 || len(r.Blocks[0].Tables["way"]) != 2 || r.Blocks[1].Tables != nil || r.FileKeys != 5 {
			t.Fatalf("%s: %+v, %d keys", name, r.Blocks, r.FileKeys)
		}
		var w way
		if err := r.Blocks[0].Tables["way"][0].Read(w.define); err != nil || len(w.Names) != 2 || w.Pool != "a" || w.Deny ||
			len(w.Files) != 1 || w.Files[0].Name != "x.example" {
			t.Errorf("%s: %+v, %v", name, w, err)
		}
		if name == "blocks" && (w.Files[0].Origin.Line != 15 || r.Blocks[0].Tables["way"][1].Origin.Line != 18) {
			t.Errorf("%+v", r.Blocks[0])
		}
		if got := r.BlockOptions("listen", r.Blocks[0]); len(got) != 1 || got["SSL_cert_file"] == nil {
			t.Errorf("%s: options of the port: %v", name, got)
		}
		got := r.BlockOptions("pool", r.Tables["pool"][0])
		if want := map[string]any{"name": "a", "targets": []string{"1", "2"}, "pass": masked}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: options %v", name, got)
		}
		if got := r.BlockOptions("listen.way", r.Blocks[0].Tables["way"][1]); !reflect.DeepEqual(got, map[string]any{"deny": "true"}) {
			t.Errorf("%s: options of the way: %v", name, got)
		}
	}
}

// What another process is given of the tables is what they are here.
func TestTablesAsLayer(t *testing.T) {
	s := tableSet()
	r, err := s.Resolve(s.ReadTOML("f.toml", []byte(tablesText)))
	if err != nil {
		t.Fatal(err)
	}
	l := LayerOf(SourceCode, r.Given())
	data, err := json.Marshal(Layer{Blocks: r.Blocks, Tables: r.Tables})
	if err != nil {
		t.Fatal(err)
	}
	var sent Layer
	if err := json.Unmarshal(data, &sent); err != nil {
		t.Fatal(err)
	}
	l.Blocks, l.Tables = sent.Blocks, sent.Tables
	again, err := tableSet().Resolve(l)
	if err != nil || !reflect.DeepEqual(r.Blocks, again.Blocks) || !reflect.DeepEqual(r.Tables, again.Tables) {
		t.Errorf("%v\n%+v\n%+v", err, r.Blocks, again.Blocks)
	}
}

func TestTableProblems(t *testing.T) {
	const listen = "[[listen]]\nport = 1\n"
	for _, c := range []struct{ name, text, want string }{
		{"unknown", "[[pool]]\nname = 'a'\ntargets = '1'\ntarget = '1'\n", `unknown key "target" (f.toml:4); did you mean targets?`},
		{"of the server", "[[pool]]\nname = 'a'\ntargets = '1'\nuser = '1'\n",
			`unknown key "user" (f.toml:4); user is no key of [[pool]]: write it above the first table, where it is for the whole server`},
		{"of another table", listen + "targets = '1'\n", `unknown key "targets" (f.toml:3); targets is a key of [[pool]]`},
		{"of another table, in a table", listen + "[[listen.way]]\ntargets = '1'\n", `unknown key "targets" (f.toml:4); targets is a key of [[pool]]`},
		{"missing", "[[pool]]\nname = 'a'\n", "the [[pool]] table has no targets (f.toml:1); add one"},
		{"value", "[[pool]]\nname = 'a'\ntargets = '1'\nwait = 'x'\nrise = 10\n",
			"wait: \"x\" is not a time such as 10, 0.5 or 1m30s (f.toml:4)\nrise: \"10\" is out of range: it must be from 1 to 9 (f.toml:5)"},
		{"two values", "[[pool]]\nname = ['a', 'b']\ntargets = '1'\n", "name: it takes one value, but 2 are given (f.toml:2)"},
		{"empty", "[[pool]]\nname = ''\ntargets = '1'\n", "name: its value is empty (f.toml:2); give it a value, or leave it out"},
		{"refused", "[[pool]]\nname = 'a'\ntargets = '1'\nlater = 1\n", "later: not available: it is not implemented yet (f.toml:4)"},
		{"twice", "[[pool]]\nname = 'a'\ntargets = '1'\nname = 'b'\n", "name: it is given twice, first on line 2 (f.toml:4)"},
		{"no list", "[[pool]]\nname.x = 'a'\ntargets = '1'\n", "name: it cannot hold a table (x = ...) (f.toml:2); give it one value"},
		{"one bracket", "[pool]\nname = 'a'\n", `unknown key "pool" (f.toml:1); write [[pool]], with two brackets, and its keys below it`},
		{"value for a table", "pool = 'a'\n", `unknown key "pool" (f.toml:1); write [[pool]], with two brackets, and its keys below it`},
		{"one bracket within", listen + "[listen.way]\ndeny = 1\n", `unknown key "way" (f.toml:3); write [[listen.way]], with two brackets, and its keys below it`},
		{"value within", listen + "way = 'a'\n", `unknown key "way" (f.toml:3); write [[listen.way]], with two brackets, and its keys below it`},
		{"without the parent", "[[way]]\ndeny = 1\n", `unknown key "way" (f.toml:1)`},
		{"above the parent", "[[listen.way]]\ndeny = 1\n",
			"listen: [[listen.way]] belongs below the [[listen]] that it is for, and there is none above it (f.toml:1)"},
		{"other tables", "[[user]]\na = 1\n", "user: only [[listen]], [[pool]], [[listen.way]] can be repeated as a table (f.toml:1)"},
		{"deep", "[[pool]]\nname = 'a'\ntargets = '1'\n[[pool.x]]\na = 1\n", `unknown key "x" (f.toml:4)`},
		{"mixed", "pool = [{name = 'a', targets = '1'}, 5]\n", `unknown key "pool" (f.toml:1); write [[pool]], with two brackets, and its keys below it`},
	} {
		s := tableSet()
		_, err := s.Resolve(s.ReadTOML("f.toml", []byte(c.text)))
		if got := errText(err); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// A name can be that of a key and of a table, as listen is, but not in one file.
func TestTableNamedAsKey(t *testing.T) {
	define := func() *Set {
		s := tableSet()
		s.Define(Key{Name: "pool", PerPort: true}, String(new(string)))
		return s
	}
	const table = "[[pool]]\nname = 'a'\ntargets = '1'\n"
	for text, want := range map[string]string{
		"pool = 'a'\n": "",
		table + "[[listen]]\nport = 1\npool = 'a'\n":                     "",
		"[[listen]]\nport = 1\npool = 'a'\n[[listen.way]]\npool = 'b'\n": "",
		"pool = 'a'\n" + table:                                           "pool: it is given both as a value and as [[pool]] blocks (line 2); in a file with such blocks, set it in the [[listen]] blocks (f.toml:1)",
	} {
		s := define()
		_, err := s.Resolve(s.ReadTOML("f.toml", []byte(text)))
		if got := errText(err); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestIdleInTables(t *testing.T) {
	const pools = "[[pool]]\nname = 'a'\ntargets = '1'\nrise = 2\n[[pool]]\nname = 'b'\ntargets = '1'\ncheck = 'tcp'\nrise = 2\n"
	text := pools + "[[listen]]\nport = 1\n[[listen.way]]\nnames = 'x'\n[[listen]]\nport = 2\n[[listen.way]]\nnames = 'x'\n"
	s := tableSet()
	// The key check of the command line is not the check of a pool.
	r, err := s.Resolve(s.ReadTOML("f.toml", []byte(text)), layer(SourceArgs, "check", "1"))
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	problems, _ := r.Ineffective(Facts{"tls": {Without: "has no effect without TLS"}}, func(p Place, k Key) Facts {
		if k.Name == "names" {
			places = append(places, fmt.Sprint(p.Table, p.Index))
		}
		return Facts{"tls": {Holds: p.Blocks[0].Values.Get("port") == "2", Without: "has no effect without TLS here"}}
	})
	want := "rise has no effect without check (f.toml:4); give check too, or leave rise out\n" +
		"names has no effect without TLS here (f.toml:13); leave it out"
	if got := errText(problems.err()); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if strings.Join(places, " ") != "listen.way[0 0] listen.way[1 0]" {
		t.Errorf("asked about %q", places)
	}
}

func TestTableDocs(t *testing.T) {
	s := tableSet()
	var help, md, man, one strings.Builder
	if err := s.Help(&help); err != nil {
		t.Fatal(err)
	}
	s.Markdown(&md)
	s.Man(&man)
	s.Help(&one, "")
	for _, c := range []struct{ text, want string }{
		{help.String(), "\n[[pool]], in a TOML conf file\n  Targets under one name.\n  name = VALUE             by which routes name it (required)\n  targets = TARGET         who serves (or an array; required)\n"},
		{md.String(), "## [[listen.way]]\n\nWho goes where.\n\n| key | value | default | several | needs | meaning |\n|---|---|---|---|---|---|\n| `names` | VALUE |  | yes | tls |  |\n"},
		{md.String(), "| `name` | VALUE | required |  |  | by which routes name it |\n"},
		{man.String(), ".SS [[pool]], in a TOML conf file\nTargets under one name.\n.TP\n\\fBname\\fR \\fI= VALUE\\fR\nby which routes name it (required)\n"},
	} {
		if !strings.Contains(c.text, c.want) {
			t.Errorf("there is no\n%s\nin\n%s", c.want, c.text)
		}
	}
	if strings.Contains(one.String(), "[[pool]]") {
		t.Error("tables in the help of a group")
	}
}

func TestDefineTablePanics(t *testing.T) {
	for name, want := range map[string]string{
		"listen": "defined twice", "pool": "defined twice", "listen.way": "defined twice", "a b": "cannot be the name", "": "cannot be the name",
		"none.x": "defined before none",
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) {
					t.Errorf("%q: %q", name, text)
				}
			}()
			tableSet().DefineTable(Table{Name: name})
		}()
	}
	if s := tableSet(); s.Table("pool") == nil || s.Table("x") != nil || len(s.Tables()) != 2 {
		t.Error(s.Tables())
	}
}
