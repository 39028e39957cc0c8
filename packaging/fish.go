package main

import (
	"bytes"
	"fmt"
	"strings"

	"netserver/conf"
	"netserver/daemon"
)

// fish returns the completion for fish.
func fish() []byte {
	var b bytes.Buffer
	b.WriteString(fishHead)
	fmt.Fprintf(&b, "complete -c netserver -n '__netserver_first' -a '%s' -d type\n", strings.Join(daemon.Types(), " "))
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c netserver -n '__netserver_first' -a %s -d %s\n", c.name, fishQuote(c.does))
	}
	fmt.Fprintf(&b, "complete -c netserver -n '__netserver_help' -a '%s'\n", strings.Join(helpWords[:], " "))
	fmt.Fprintf(&b, "complete -c netserver -n '__netserver_verb' -a '%s'\n", strings.Join(verbs[:], " "))
	b.WriteString("complete -c netserver -n '__netserver_keys' -s h -l help -d 'explain a word'\n")
	b.WriteString("complete -c netserver -n '__netserver_keys' -s V -l version -d 'print the version'\n")
	for _, k := range keys() {
		b.WriteString(fishKey(k))
	}
	return b.Bytes()
}

// fishKey returns the line for one key.
func fishKey(k conf.Key) string {
	v := valueOf(k)
	how := map[kind]string{
		kindText: " -x", kindFile: " -r -F", kindDir: " -x -a '(__fish_complete_directories)'",
		kindCommand: " -x -a '(__fish_complete_command)'", kindUser: " -x -a '(__fish_complete_users)'",
		kindGroup: " -x -a '(__fish_complete_groups)'",
	}[v.kind]
	switch {
	case k.Bool: // it stands alone
	case v.kind == kindWords:
		how = " -x -a " + fishQuote(strings.ReplaceAll(strings.Join(v.words, " "), "*", `\*`))
	}
	return fmt.Sprintf("complete -c netserver -n '__netserver_keys' -l %s%s -d %s\n", k.Name, how, fishQuote(summary(k)))
}

var fishSpecial = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func fishQuote(text string) string { return "'" + fishSpecial.Replace(text) + "'" }

const fishHead = `# fish completion for netserver. Written by go run ./packaging.
# Install it as /usr/share/fish/vendor_completions.d/netserver.fish.

function __netserver_keys
    set -l words (commandline -opc)
    not contains -- -- $words
    and not string match -q ctl -- $words[2]
end

function __netserver_first
    test (count (commandline -opc)) -eq 1
end

function __netserver_verb
    set -l words (commandline -opc)
    test (count $words) -eq 2
    and test "$words[2]" = ctl
end

function __netserver_help
    set -l words (commandline -opc)
    contains -- $words[-1] help --help -h
    and not contains -- -- $words
end

function __netserver_in_program
    contains -- -- (commandline -opc)
end

# The program that serves clients, and its arguments.
function __netserver_program
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -e words[1..$at]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

complete -c netserver -f
complete -c netserver -n '__netserver_in_program' -a '(__netserver_program)'
`
