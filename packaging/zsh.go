package main

import (
	"bytes"
	"fmt"
	"strings"

	"netserver/conf"
	"netserver/daemon"
)

// zsh returns the completion for zsh.
func zsh() []byte {
	var b bytes.Buffer
	b.WriteString(zshHead)
	fmt.Fprintf(&b, "\t\t'1:type or command:(%s %s)' \\\n", strings.Join(daemon.Types(), " "), strings.Join(words(), " "))
	b.WriteString("\t\t'(- *)'{-h,--help}'[explain a word]:word:(@HELP@)' \\\n\t\t'(- *)'{-V,--version}'[print the version]'")
	for _, k := range keys() {
		fmt.Fprintf(&b, " \\\n\t\t%s", zshKey(k))
	}
	b.WriteString("\n}\n\n_netserver \"$@\"\n")
	text := strings.NewReplacer("@VERBS@", strings.Join(verbs[:], " "), "@HELP@", strings.Join(helpWords[:], " ")).Replace(b.String())
	return []byte(text)
}

// zshKey returns one specification for _arguments.
func zshKey(k conf.Key) string {
	spec := "--" + k.Name
	if k.List {
		spec = "*" + spec
	}
	label := zshEscape(k.Arg)
	if label == "" {
		label = "value"
	}
	if k.Bool {
		return zshQuote(fmt.Sprintf("%s=-[%s]::%s:(0 1)", spec, zshEscape(summary(k)), label))
	}
	v := valueOf(k)
	action := map[kind]string{
		kindText: " ", kindFile: "_files", kindDir: "_files -/", kindCommand: "_command_names -e",
		kindUser: "_users", kindGroup: "_groups",
	}[v.kind]
	if v.kind == kindWords {
		action = "(" + strings.ReplaceAll(strings.Join(v.words, " "), "*", `\*`) + ")"
	}
	return zshQuote(fmt.Sprintf("%s=[%s]:%s:%s", spec, zshEscape(summary(k)), label, action))
}

var zshSpecial = strings.NewReplacer(`\`, `\\`, `:`, `\:`, `[`, `\[`, `]`, `\]`)

func zshEscape(text string) string { return zshSpecial.Replace(text) }

func zshQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

const zshHead = `#compdef netserver
# zsh completion for netserver. Written by go run ./packaging.
# Install it as _netserver in a directory of $fpath, such as
# /usr/share/zsh/vendor-completions.

_netserver() {
	local dashes=${words[(i)--]}
	if ((dashes < CURRENT)); then
		# The program that serves clients, and its arguments.
		words=("${(@)words[dashes + 1,-1]}")
		((CURRENT -= dashes))
		_normal
		return
	fi
	if [[ $words[2] == ctl ]] && ((CURRENT > 2)); then
		((CURRENT == 3)) && compadd -- @VERBS@
		return
	fi
	if [[ $words[2] == help ]] && ((CURRENT > 2)); then
		((CURRENT == 3)) && compadd -- @HELP@
		return
	fi
	_arguments \
`
