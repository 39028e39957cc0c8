//go:build unix

package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Conf files that belong to programs on Net::Server are taken as they are: what
// is the engine's holds, and each key of the application is named.
func TestConfFilesOfApplications(t *testing.T) {
	cases := []struct {
		file string
		port string
		own  []string // the application's keys
		more string   // lines for keys that may not be built yet
	}{
		{file: "testdata/munin-node.conf", port: "4949", own: []string{"ignore_file", "global_timeout", "timeout", "host_name", "df_warning"}},
		{file: "/etc/munin/munin-node.conf", port: "4949", own: []string{"ignore_file"}},
		{file: "testdata/postgrey.conf", port: "10023", own: []string{"socketmode", "dbdir"},
			more: "log_file Sys::Syslog\nsyslog_logsock unix\nsyslog_facility mail\nsyslog_ident postgrey\n"},
	}
	builtSyslog := strings.Contains(run(t, binary, "--help", "all").all(), "--syslog_facility")
	for _, tc := range cases {
		text, err := os.ReadFile(tc.file)
		if err != nil && filepath.IsAbs(tc.file) {
			continue // the package is not installed
		}
		if err != nil {
			t.Fatal(err)
		}
		if builtSyslog {
			text = append(text, tc.more...)
		}
		file := filepath.Join(t.TempDir(), filepath.Base(tc.file))
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		// Whoever runs the test may not become these users, or have them.
		args := []string{"--conf_file", file, "--user=", "--group=", "--check"}
		stdout, stderr, status := both(t, append(args, "--unknown_keys", "warn")...)
		if status != 0 {
			t.Errorf("%s: status %d: %s", tc.file, status, stderr)
			continue
		}
		var got struct {
			Listeners []map[string]string
			Options   map[string]any
			Origin    map[string]string
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Listeners) == 0 || got.Listeners[0]["port"] != tc.port {
			t.Errorf("%s: listeners %v", tc.file, got.Listeners)
		}
		want := lineOf(text, "setsid 1")
		if at := got.Origin["setsid"]; at != file+":"+want {
			t.Errorf("%s: setsid comes from %q, not line %s", tc.file, at, want)
		}
		named(t, string(text), file, stderr, tc.own)
		// Without the word it is refused, with the same places.
		if _, stderr, status := both(t, args...); status != 2 || !strings.Contains(stderr, `unknown key "`+tc.own[0]+`" (`+file) {
			t.Errorf("%s: status %d: %s", tc.file, status, stderr)
		}
	}
}

// named checks that each line of the application's keys is named with its
// place, and no other.
func named(t *testing.T, text, file, stderr string, own []string) {
	t.Helper()
	found := regexp.MustCompile(`warning: unknown key "(\w+)" \((.*):(\d+)\)`).FindAllStringSubmatch(stderr, -1)
	var places []string
	for _, m := range found {
		if m[2] != file || !slices.Contains(own, m[1]) {
			t.Errorf("named: %q", m[0])
		}
		places = append(places, m[1]+" "+m[3])
	}
	n := 0
	for i, line := range strings.Split(text, "\n") {
		key, _, _ := strings.Cut(line, " ")
		if !slices.Contains(own, key) {
			continue
		}
		n++
		if want := key + " " + strconv.Itoa(i+1); !slices.Contains(places, want) {
			t.Errorf("%s is not named, but %q", want, places)
		}
	}
	if n != len(found) || strings.Count(stderr, "\n") != n {
		t.Errorf("%d lines for %d keys:\n%s", len(found), n, stderr)
	}
}

func lineOf(text []byte, line string) string {
	return strconv.Itoa(1 + slices.Index(strings.Split(string(text), "\n"), line))
}

// both runs the command to its end.
func both(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
