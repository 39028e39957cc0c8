package main

import (
	"bytes"
	"fmt"
	"strings"

	"netserver/daemon"
)

// bash returns the completion for bash. It does without the package
// bash-completion, and uses its completion of commands where it is there.
func bash() []byte {
	var b bytes.Buffer
	b.WriteString(bashHead)
	byKind := make(map[kind][]string)
	b.WriteString("\tcase $1 in\n")
	lists := make(map[string][]string)
	var order, names, flags []string
	for _, k := range keys() {
		names = append(names, k.Name)
		if k.Bool {
			flags = append(flags, k.Name)
		}
		v := valueOf(k)
		if v.kind != kindWords {
			byKind[v.kind] = append(byKind[v.kind], k.Name)
			continue
		}
		list := strings.Join(v.words, " ")
		if lists[list] == nil {
			order = append(order, list)
		}
		lists[list] = append(lists[list], k.Name)
	}
	for _, list := range order {
		fmt.Fprintf(&b, "\t%s) _netserver_reply -W '%s' -- \"$2\" ;;\n", strings.Join(lists[list], "|"), list)
	}
	for _, c := range []struct {
		kind   kind
		action string
	}{
		{kindFile, "compopt -o filenames; _netserver_reply -f -- \"$2\""},
		{kindDir, "compopt -o filenames; _netserver_reply -d -- \"$2\""},
		{kindCommand, "_netserver_reply -c -- \"$2\""},
		{kindUser, "_netserver_reply -u -- \"$2\""},
		{kindGroup, "_netserver_reply -g -- \"$2\""},
	} {
		if list := byKind[c.kind]; len(list) > 0 {
			fmt.Fprintf(&b, "\t%s) %s ;;\n", strings.Join(list, "|"), c.action)
		}
	}
	b.WriteString("\tesac\n}\n\n")
	r := strings.NewReplacer(
		"@TYPES@", strings.Join(daemon.Types(), " "), "@WORDS@", strings.Join(words(), " "), "@HELP@", strings.Join(helpWords[:], " "),
		"@VERBS@", strings.Join(verbs[:], " "),
		"@NAMES@", fold(names), "@FLAGS@", strings.Join(flags, "|"),
	)
	r.WriteString(&b, bashBody)
	return b.Bytes()
}

// fold breaks a list of words into indented lines.
func fold(words []string) string {
	var b strings.Builder
	line := 0
	for _, w := range words {
		if line+len(w) > 70 {
			line = 0
		}
		if line == 0 {
			b.WriteString("\n\t\t")
		} else {
			b.WriteByte(' ')
		}
		b.WriteString(w)
		line += len(w) + 1
	}
	return b.String()
}

const bashHead = `# bash completion for netserver. Written by go run ./packaging.
# Install it as /usr/share/bash-completion/completions/netserver.

# _netserver_reply ARG... has compgen answer, one word on a line.
_netserver_reply() {
	local IFS=$' \t\n'
	mapfile -t COMPREPLY < <(compgen "$@")
}

# _netserver_value KEY PREFIX completes the value of a key.
_netserver_value() {
`

const bashBody = `_netserver() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev= key= i
	((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			if declare -F _comp_command_offset >/dev/null; then
				_comp_command_offset $((i + 1))
			elif declare -F _command_offset >/dev/null; then
				_command_offset $((i + 1))
			elif ((i + 1 == COMP_CWORD)); then
				_netserver_reply -c -- "$cur"
			else
				compopt -o filenames
				_netserver_reply -f -- "$cur"
			fi
			return
		fi
	done
	if [[ ${COMP_WORDS[1]} == ctl ]] && ((COMP_CWORD > 1)); then
		((COMP_CWORD == 2)) && _netserver_reply -W '@VERBS@' -- "$cur"
		return
	fi
	if [[ $prev == help || $prev == --help || $prev == -h ]]; then
		_netserver_reply -W '@HELP@' -- "$cur"
		return
	fi
	# With = among the word breaks, as it is by default, --key=value is three
	# words.
	if [[ $cur == = ]]; then
		key=$prev cur=
	elif [[ $prev == = ]] && ((COMP_CWORD > 2)); then
		key=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $cur == --*=* ]]; then
		key=${cur%%=*} cur=${cur#*=}
	elif [[ $prev == --?* && $cur != --* ]]; then
		key=$prev
		case ${key#--} in
		help|version|@FLAGS@) key= ;; # they stand alone
		esac
	fi
	if [[ -n $key ]]; then
		_netserver_value "${key#--}" "$cur"
		return
	fi
	case $cur in
	-*)
		[[ $cur == - ]] && cur=
		_netserver_reply -P -- -W "help version @NAMES@" -- "${cur#--}"
		;;
	*)
		((COMP_CWORD == 1)) || return
		for i in @TYPES@ @WORDS@; do
			[[ ${i,,} == "${cur,,}"* ]] && COMPREPLY+=("$i")
		done
		;;
	esac
}
complete -F _netserver netserver
`
