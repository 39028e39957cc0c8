package conf

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "record Net::Server's answers again and rewrite DIFFERENCES.md")

// Where the answers of Net::Server are kept, so that the comparison runs
// without Perl.
const recordingFile = "testdata/configure.json"

// An answer is what became of a case, in Net::Server or here.
type answer struct {
	Keys map[string]any `json:"keys,omitempty"` // string or []string
	Rest []string       `json:"rest,omitempty"`
	Died string         `json:"died,omitempty"` // here: the problems
}

// A recording is what testdata/configure.pl prints.
type recording struct {
	Version string          `json:"version"`
	Kinds   map[string]bool `json:"kinds"`
	Results []answer        `json:"results"`
}

// needPerl skips the test where Perl's Net::Server is missing, unless it has
// to be there.
func needPerl(t *testing.T) {
	t.Helper()
	if err := exec.Command("perl", "-MNet::Server", "-MJSON::PP", "-e1").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("perl with Net::Server is missing: %v", err)
		}
		t.Skipf("perl with Net::Server is missing: %v", err)
	}
}

// askPerl lets Net::Server answer all cases.
func askPerl(t *testing.T) []byte {
	t.Helper()
	needPerl(t)
	in, err := json.Marshal(latin1Cases(perlCases()))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("perl", "testdata/configure.pl")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("configure.pl: %v\n%s", err, stderr.Bytes())
	}
	return out
}

// latin1 makes one character of each byte, so that JSON can carry any text.
func latin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

// unlatin1 is the way back.
func unlatin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func latin1Cases(cases []perlCase) []perlCase {
	out := make([]perlCase, len(cases))
	for i, c := range cases {
		out[i].Path = c.Path
		for _, a := range c.Argv {
			out[i].Argv = append(out[i].Argv, latin1(a))
		}
		for _, a := range c.Run {
			out[i].Run = append(out[i].Run, latin1(a))
		}
		if c.File != nil {
			text := latin1(*c.File)
			out[i].File = &text
		}
	}
	return out
}

// unmarshalAnswers reads a recording.
func unmarshalAnswers(t *testing.T, data []byte) recording {
	t.Helper()
	var r recording
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	for i := range r.Results {
		a := &r.Results[i]
		for key, value := range a.Keys {
			switch v := value.(type) {
			case string:
				a.Keys[key] = unlatin1(v)
			case []any:
				var list []string
				for _, item := range v {
					list = append(list, unlatin1(item.(string)))
				}
				a.Keys[key] = list
			}
		}
		for j := range a.Rest {
			a.Rest[j] = unlatin1(a.Rest[j])
		}
	}
	return r
}

// perlBools are the keys that Net::Server reads as booleans.
var perlBools = []string{
	"background", "setsid", "child_communication", "leave_children_open_on_hup",
	"no_client_stdout", "no_close_by_child", "tie_client_stdout",
}

// perlSet defines the keys of the recording. Numbers are texts here: what
// Net::Server does with them later is not compared.
func perlSet(kinds map[string]bool) *Set {
	var s Set
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		k := Key{Name: name, List: kinds[name], Bool: name == "reverse_lookups"}
		switch {
		case slices.Contains(perlBools, name):
			s.Define(k, Bool(new(bool)))
		case k.List:
			s.Define(k, Strings(new([]string)))
		default:
			s.Define(k, String(new(string)))
		}
	}
	return &s
}

// ourAnswer is what this package makes of a case.
func ourAnswer(c perlCase, kinds map[string]bool) answer {
	s := perlSet(kinds)
	args, rest := s.TakeArgs(SourceArgs, c.Argv)
	run, runRest := s.TakeArgs(SourceRun, c.Run)
	layers := []Layer{run, args}
	if c.File != nil {
		layers = append(layers, s.ReadLines("server.conf", []byte(*c.File)))
	}
	if c.Path != "" {
		layers = append(layers, s.ReadFile(c.Path))
	}
	a := answer{Rest: slices.Concat(rest, runRest)}
	result, err := s.Resolve(layers...)
	if err != nil {
		return answer{Died: err.Error()}
	}
	for key, value := range result.Options() {
		if a.Keys == nil {
			a.Keys = make(map[string]any)
		}
		a.Keys[key] = value
	}
	return a
}

// recorded returns the recorded answers, one for each case.
func recorded(t *testing.T) recording {
	t.Helper()
	data, err := os.ReadFile(recordingFile)
	if err != nil {
		t.Fatal(err)
	}
	rec := unmarshalAnswers(t, data)
	if n := len(perlCases()); len(rec.Results) != n {
		t.Fatalf("%d answers are recorded for %d cases: run go test ./conf -run Recording -update", len(rec.Results), n)
	}
	return rec
}

// TestLikePerl compares every case with the recorded answer of Net::Server.
func TestLikePerl(t *testing.T) {
	rec, cases := recorded(t), perlCases()
	if len(cases) < 200 {
		t.Fatalf("only %d cases", len(cases))
	}
	agree := 0
	for i, c := range cases {
		ours, perls := ourAnswer(c, rec.Kinds), rec.Results[i]
		same := reflect.DeepEqual(ours, perls)
		switch {
		case c.differs == "" && !same:
			t.Errorf("%s\nperl: %s\nhere: %s", c, perls, ours)
		case c.differs != "" && same:
			t.Errorf("%s\nno difference (%s) any more: %s", c, c.differs, ours)
		case same:
			agree++
		}
	}
	t.Logf("Net::Server %s: %d cases, %d agree, %d differ as documented", rec.Version, len(cases), agree, len(cases)-agree)
}

// TestPerlRecording checks that the recording is what Net::Server answers.
func TestPerlRecording(t *testing.T) {
	data := askPerl(t)
	if *update {
		if err := os.WriteFile(recordingFile, oneAnswerALine(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	live, rec := unmarshalAnswers(t, data), recorded(t)
	if !reflect.DeepEqual(live.Kinds, rec.Kinds) && live.Version == rec.Version {
		t.Errorf("kinds of keys differ: %v, recorded %v", live.Kinds, rec.Kinds)
	}
	for i, c := range perlCases() {
		if !reflect.DeepEqual(live.Results[i], rec.Results[i]) {
			t.Errorf("%s\nNet::Server %s: %s\nrecorded of %s: %s", c, live.Version, live.Results[i], rec.Version, rec.Results[i])
		}
	}
}

// oneAnswerALine breaks the recording into lines, for readable changes.
func oneAnswerALine(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte(`"results":[`), []byte("\"results\":[\n"))
	return bytes.ReplaceAll(data, []byte(`},{`), []byte("},\n{"))
}

// String shows a case as one would write it.
func (c perlCase) String() string {
	var parts []string
	if c.Argv != nil {
		parts = append(parts, "arguments "+quoted(c.Argv))
	}
	if c.Run != nil {
		parts = append(parts, "run "+quoted(c.Run))
	}
	if c.File != nil {
		parts = append(parts, "file "+fmt.Sprintf("%q", *c.File))
	}
	if c.Path != "" {
		parts = append(parts, "conf file "+c.Path)
	}
	return strings.Join(parts, ", ")
}

func (a answer) String() string {
	if a.Died != "" {
		return "error: " + strings.ReplaceAll(a.Died, "\n", " / ")
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(a.Keys)) {
		value := fmt.Sprintf("%q", a.Keys[key])
		if list, ok := a.Keys[key].([]string); ok {
			value = quoted(list)
		}
		parts = append(parts, key+" = "+value)
	}
	if a.Rest != nil {
		parts = append(parts, "left over: "+quoted(a.Rest))
	}
	return cmp.Or(strings.Join(parts, ", "), "nothing")
}

func quoted(list []string) string {
	q := make([]string, len(list))
	for i, s := range list {
		q[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(q, " ")
}

// TestPerlErrorsNamePlaces checks that every problem of the comparison says
// where it is.
func TestPerlErrorsNamePlaces(t *testing.T) {
	kinds := recorded(t).Kinds
	for _, c := range perlCases() {
		s := perlSet(kinds)
		layers := []Layer{}
		if c.File != nil {
			layers = append(layers, s.ReadLines("server.conf", []byte(*c.File)))
		}
		_, err := s.Resolve(layers...)
		var all Problems
		if errors.As(err, &all) {
			for _, e := range all {
				if !strings.Contains(e.Error(), "(server.conf:") {
					t.Errorf("%s: no place in %q", c, e)
				}
			}
		}
	}
}
