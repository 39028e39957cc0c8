package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/netservertest"
)

// quote writes a word for any of the shells.
func quote(word string) string {
	if word != "" && !strings.ContainsAny(word, " *'\"") {
		return word
	}
	return "'" + word + "'"
}

func (q question) line() string {
	words := []string{"netserver"}
	for _, w := range q.words {
		if w != "" {
			w = quote(w)
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

// bashAsk has bash call the completion as it does at a tab key.
const bashAsk = `
source "$1"; shift
compopt() { :; } # outside of a completion it can only fail
[[ $(complete -p netserver) == 'complete -F _netserver netserver' ]] || exit 3
COMP_WORDS=(netserver "$@")
COMP_CWORD=$#
_netserver netserver "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
`

func TestBash(t *testing.T) {
	bash := netservertest.Peer(t, "bash")
	file, dir := completionFile(t, "netserver.bash"), shellDir(t)
	list := append(questions(),
		// With = among the word breaks these are words of their own.
		question{words: []string{"--log_format", "="}, has: []string{"line", "json"}, only: true},
		question{words: []string{"--log_format", "=", "j"}, has: []string{"json"}, only: true},
		question{words: []string{"log_format", "=", "j"}, has: []string{"json"}, only: true},
		question{words: []string{"--background", "=", ""}, has: []string{"0", "1"}, only: true},
		question{words: []string{"--log_format=j"}, has: []string{"json"}, only: true},
		question{words: []string{"--no_such_key", "=", ""}, only: true},
		question{words: []string{"$(touch bad)", "=", ""}, only: true},
		question{words: []string{"pref"}, has: []string{"PreForkSimple", "PreFork"}, only: true},
	)
	for _, q := range list {
		cmd := exec.Command(bash, append([]string{"--norc", "--noprofile", "-uc", bashAsk, "bash", file}, q.words...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", q.words, err, out)
			continue
		}
		q.check(t, strings.Split(string(out), "\n"))
	}
	if _, err := os.Stat(filepath.Join(dir, "bad")); err == nil {
		t.Error("what was typed has been executed")
	}
}

func TestFish(t *testing.T) {
	fish := netservertest.Peer(t, "fish")
	file, dir := completionFile(t, "netserver.fish"), shellDir(t)
	list := append(questions(), question{words: []string{"--log_format=j"}, has: []string{"--log_format=json"}, only: true})
	for _, q := range list {
		cmd := exec.Command(fish, "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", file, q.line())
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v\n%s", q.words, err, out)
			continue
		}
		var offers []string
		for line := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(line, "\t")
			offers = append(offers, word)
		}
		q.check(t, offers)
	}
}

// zshAsk runs an interactive zsh that notes in a file what its completion
// offers, and types lines into it. ^T ends a line: the terminal would take
// characters such as ^U for itself while zsh is not reading.
const zshAsk = `
zmodload zsh/zpty || exit 3
file=$1 notes=$2; shift 2
zpty z zsh -f -i
zpty -w z "PROMPT= fpath=(${(q)file:h} \$fpath); autoload -U compinit; compinit -u -D; setopt nobeep; bindkey '^I' complete-word"
zpty -w z 'compadd() {
	if [[ " ${(j: :)@[1,(i)(-|--)]} " == *" -"[OAD]" "* ]]; then builtin compadd "$@"; return; fi
	local -a hits; builtin compadd -O hits "$@"; print -rl -- $hits >>'${(q)notes}'; builtin compadd "$@"
}'
zpty -w z 'asked() { print -r -- END >>'${(q)notes}'; BUFFER=; }; zle -N asked; bindkey "^T" asked'
for line; do
	zpty -w -n z "$line"$'\t\C-t'
done
while [[ $(grep -c '^END$' $notes 2>/dev/null) != $# ]]; do zpty -r -t z >/dev/null 2>&1 || sleep 0.01; done
zpty -d z
`

func TestZsh(t *testing.T) {
	zsh := netservertest.Peer(t, "zsh")
	file, dir := completionFile(t, "_netserver"), shellDir(t)
	list := append(questions(), question{words: []string{"--log_format=j"}, has: []string{"json"}, only: true})
	notes := filepath.Join(dir, "notes")
	args := []string{"-f", "-c", zshAsk, "zsh", file, notes}
	for _, q := range list {
		args = append(args, q.line())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, zsh, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := os.ReadFile(notes)
	if err != nil {
		t.Fatal(err)
	}
	for i, offers := range strings.Split(strings.TrimSuffix(string(out), "END\n"), "END\n") {
		list[i].check(t, strings.Split(offers, "\n"))
	}
}
