package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/port"
	"netserver/sock"
)

// command returns the values of who has a command for passwords.
func command() conf.Values {
	v := conf.Values{}
	v.Set("SSL_passwd_command", "/bin/pass")
	return v
}

// What is off, or is not for those who serve with code of their own unless it is
// asked for, restricts nothing.
func TestNothingIsRestricted(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    Settings
		job  bool
		own  bool
	}{
		{"off", Settings{Landlock: "0", Seccomp: "0"}, false, true},
		{"a handler of a program's own", Settings{}, false, false},
	} {
		w := &worker{conf: &tc.o, init: &wire.Start{Job: tc.job, Plan: new(wire.Plan)}}
		if what, err := w.confineFiles(tc.own); what != "" || err != nil {
			t.Errorf("%s: files: %s, %v", tc.name, what, err)
		}
		if what, err := w.confineCalls(tc.own); what != "" || err != nil || w.sealed {
			t.Errorf("%s: calls: %s, %v", tc.name, what, err)
		}
	}
	for name, w := range map[string]*worker{
		"a job":             {conf: new(Settings), init: &wire.Start{Job: true, Plan: new(wire.Plan)}},
		"programs":          {conf: &Settings{RunsProgram: true}, init: &wire.Start{Plan: new(wire.Plan)}},
		"password commands": {conf: new(Settings), init: &wire.Start{Plan: &wire.Plan{Values: command()}}},
	} {
		if what, err := w.confineCalls(true); what != "" || err != nil || w.sealed {
			t.Errorf("%s: calls: %s, %v", name, what, err)
		}
	}
	var p *conf.Problem
	w := &worker{conf: &Settings{Seccomp: "1"}, init: &wire.Start{Plan: &wire.Plan{Values: command()}}}
	if _, err := w.confineCalls(false); !errors.As(err, &p) || p.Key != "seccomp" {
		t.Errorf("seccomp 1 beside a command: %v", err)
	}
}

// Workers run commands for passwords where the supervisor does not do it for
// them.
func TestRunsCommand(t *testing.T) {
	of := func(v conf.Values) []sock.Request {
		return []sock.Request{{Spec: port.Spec{Port: "1", Proto: "tcp"}}, {Spec: port.Spec{Port: "2", Proto: "ssl", Params: v}}}
	}
	for name, tc := range map[string]struct {
		plan wire.Plan
		want bool
	}{
		"no command":          {wire.Plan{Ports: of(nil)}, false},
		"of all ports":        {wire.Plan{Values: command(), Ports: of(nil)}, true},
		"of one port":         {wire.Plan{Ports: of(command())}, true},
		"with keys elsewhere": {wire.Plan{Values: command(), Ports: of(command()), Isolate: true}, false},
	} {
		if got := runsCommand(&tc.plan); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Relative paths count for the keys whose names say that they are of files.
func TestPathsOfAValue(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		key, value string
		want       []string
	}{
		{"SSL_cert_file", "/a/../b", []string{"/b", "/b"}},
		{"SSL_cert_file", "x.pem", []string{here + "/x.pem", here + "/x.pem"}},
		{"SSL_ca_path", "/a:/b", []string{"/a", "/b", "/a:/b"}},
		{"SSL_cert_file", "", nil},
		{"user", "nobody", nil},
		{"anything", "/a", []string{"/a", "/a"}},
	} {
		if got := pathsOf(tc.key, tc.value); !slices.Equal(got, tc.want) {
			t.Errorf("%s %q: %q, want %q", tc.key, tc.value, got, tc.want)
		}
	}
}

// Where the links to a file lead may change: their directories are read too, but
// those that hold links to directories only if little else is there.
func TestPlacesOfLinks(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(top, name) }
	for _, d := range []string{"data", "links", "v1", "app"} {
		if err := os.Mkdir(in(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"data/key", "v1/key"} {
		if err := os.WriteFile(in(f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"links/key": "data/key", "app/current": "v1", "v1/two": "data/key"} {
		if err := os.Symlink(in(to), in(link)); err != nil {
			t.Skip(err)
		}
	}
	for path, want := range map[string][]string{
		"data/key":        {in("data"), in("data/key")},
		"data":            {in("data")},
		"links/key":       {in("data"), in("links"), in("links/key")},
		"app/current/key": {in("app"), in("app/current"), in("app/current/key")},
		"app/current/two": {in("app"), in("app/current"), in("app/current/two"), in("data"), in("v1")},
		"gone":            {},
	} {
		got := placesOf(in(path))
		slices.Sort(got)
		if got = slices.Compact(got); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
