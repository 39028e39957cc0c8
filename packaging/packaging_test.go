package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"netserver/daemon"
	"netserver/netservertest"
)

// What is generated is what the keys say.
func TestGenerated(t *testing.T) {
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range all {
		if have, err := os.ReadFile(filepath.FromSlash(name)); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not what the keys say; run go run ./packaging at the top of the tree (%v)", name, err)
		}
	}
}

func TestManualHasAll(t *testing.T) {
	b, err := manual()
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, section := range []string{
		"NAME", "SYNOPSIS", "DESCRIPTION", "TYPES", "KEYS", "CONF FILE", "SIGNALS", "CONTROL",
		"EXIT STATUS", "FILES", "ENVIRONMENT", "EXAMPLES", "SEE ALSO",
	} {
		if strings.Count(text, "\n.SH "+section+"\n") != 1 {
			t.Errorf("section %s is not there once", section)
		}
	}
	for _, k := range keys() {
		if !strings.Contains(text, "\n\\fB\\-\\-"+k.Name+"\\fR") {
			t.Errorf("key %s is not described", k.Name)
		}
	}
	for _, typ := range daemon.Types() {
		if !strings.Contains(text, "\n.B "+typ+"\n") {
			t.Errorf("type %s is not described", typ)
		}
	}
	_, control, _ := strings.Cut(text, "\n.SH CONTROL\n")
	for _, v := range verbs {
		if !strings.Contains(control, "\n.B "+v+"\n") && !strings.Contains(control, "\n.BI "+v+" ") {
			t.Errorf("netserver ctl %s is not described", v)
		}
	}
}

func TestManualRenders(t *testing.T) {
	cmd := exec.Command(netservertest.Peer(t, "man"), "--warnings", "-l", "netserver.8")
	cmd.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8", "MANPAGER=cat")
	var out, warnings bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &warnings
	if err := cmd.Run(); err != nil || warnings.Len() > 0 {
		t.Errorf("man: %v\n%s", err, &warnings)
	}
	for _, want := range []string{"\nNAME\n", "--SSL_cert_file FILE", "Net::Server's", "netserver INET -- /bin/cat", "~"} {
		if want != "~" && !strings.Contains(out.String(), want) {
			t.Errorf("the page shows no %q", want)
		}
	}
}

func TestManualIsClean(t *testing.T) {
	out, err := exec.Command(netservertest.Peer(t, "mandoc"), "-T", "lint", "netserver.8").CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("mandoc -T lint: %v\n%s", err, out)
	}
}

// A question is what a user has typed before the tab key, and what the shell
// must and must not offer.
type question struct {
	words []string // the last one is under the cursor
	has   []string
	not   []string
	only  bool // nothing but has
}

// questions are the ones for every shell. The directory the shells run in has
// the files below.
func questions() []question {
	return []question{
		{words: []string{""}, has: append(daemon.Types(), words()...)},
		{words: []string{"help", "adm"}, has: []string{"admission"}, only: true},
		{words: []string{"PreF"}, has: []string{"PreForkSimple", "PreFork"}, only: true},
		{words: []string{"--SSL_cert"}, has: []string{"--SSL_cert_dir", "--SSL_cert_file"}, only: true},
		{words: []string{"Fork", "--log_l"}, has: []string{"--log_level"}, only: true},
		{words: []string{"--lock_f"}, not: []string{"--lock_file"}},
		{words: []string{"--log_format", ""}, has: []string{"line", "json"}, only: true},
		{words: []string{"--landlock", "a"}, has: []string{"auto"}, only: true},
		{words: []string{"--ipv", ""}, has: []string{"4", "6", "*"}, only: true},
		{words: []string{"--server_type", "I"}, has: []string{"INET"}, only: true},
		{words: []string{"--conf_file", "some"}, has: []string{"some file.conf"}, not: []string{"somecommand"}},
		{words: []string{"--chroot", "some"}, has: []string{"somedir"}, only: true},
		{words: []string{"--user", "roo"}, has: []string{"root"}},
		{words: []string{"--check", "--pee"}, has: []string{"--peer", "--peer_host"}, only: true},
		{words: []string{"--port", "7/tcp", "--background", "--max_se"}, has: []string{"--max_servers"}, only: true},
		{words: []string{"ctl", ""}, has: verbs[:], only: true},
		{words: []string{"ctl", "status", "--por"}, not: []string{"--port"}},
		{words: []string{"INET", "--", "somecomm"}, has: []string{"somecommand"}, only: true},
		{words: []string{"INET", "--", "ls", "--SSL_c"}, not: []string{"--SSL_cert_file"}},
		{words: []string{"INET", "--", "somecommand", "some"}, has: []string{"some file.conf"}},
	}
}

// shellDir makes the folder that the questions are asked in, and puts a
// program into $PATH.
func shellDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"some file.conf": 0o644, "bin/somecommand": 0o755, "somedir/x": 0o644} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("XDG_DATA_HOME", dir)
	return dir
}

func completionFile(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("completions", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// check compares what a shell offers with what it must.
func (q question) check(t *testing.T, offers []string) {
	t.Helper()
	for i, o := range offers {
		offers[i] = strings.TrimSuffix(strings.ReplaceAll(strings.TrimSpace(o), `\`, ""), "/")
	}
	for _, w := range q.has {
		if !slices.Contains(offers, w) {
			t.Errorf("%q: %q is not offered, but %q", q.words, w, offers)
		}
	}
	for _, w := range q.not {
		if slices.Contains(offers, w) {
			t.Errorf("%q: %q is offered", q.words, w)
		}
	}
	for _, o := range offers {
		if q.only && o != "" && !slices.Contains(q.has, o) {
			t.Errorf("%q: %q is offered", q.words, o)
		}
	}
}
