package main

import (
	"slices"
	"strings"
	"unicode"

	"netserver/conf"
	"netserver/daemon"
)

// A kind is what the value of a key can be completed with.
type kind int

const (
	kindText kind = iota // nothing
	kindWords
	kindFile
	kindDir
	kindCommand
	kindUser
	kindGroup
)

// A value is how the value of a key is completed.
type value struct {
	kind  kind
	words []string // of kindWords
}

// valueOf reads the name that help has for a key's value.
func valueOf(k conf.Key) value {
	switch {
	case k.Name == "server_type":
		return value{kindWords, daemon.Types()}
	case k.Name == "proto":
		return value{kindWords, []string{"tcp", "udp", "ssl", "unix", "unixssl", "unixdgram"}}
	case k.Name == "unix_type":
		return value{kindWords, []string{"SOCK_STREAM", "SOCK_DGRAM"}}
	case k.Arg == "SIGNAL":
		return value{kindWords, []string{"WINCH", "USR1", "USR2", "HUP", "QUIT", "CONT", "ALRM", "IO"}}
	case k.Arg == "0-4":
		return value{kindWords, []string{"0", "1", "2", "3", "4"}}
	case k.Arg == "BOOL" || k.Bool:
		return value{kindWords, []string{"0", "1"}}
	case isChoice(k.Arg):
		return value{kindWords, strings.Split(k.Arg, "|")}
	}
	kinds := map[string]kind{
		"FILE": kindFile, "FILES": kindFile, "DIR": kindDir, "DIRECTORY": kindDir, "DIRECTORIES": kindDir,
		"COMMAND": kindCommand, "USER": kindUser, "GROUP": kindGroup,
	}
	return value{kind: kinds[k.Arg]}
}

// isChoice reports whether arg lists the words that a key takes.
func isChoice(arg string) bool {
	return strings.Contains(arg, "|") && !strings.ContainsFunc(arg, unicode.IsUpper)
}

// keys returns the keys that can be given, and how each is completed.
func keys() []conf.Key {
	return slices.DeleteFunc(keySet().Keys(), func(k conf.Key) bool { return k.Refuse != "" })
}

// verbs are those of netserver ctl.
var verbs = [...]string{"status", "reload", "drain", "stop", "conns", "kill", "limits", "penalties", "targets", "certs", "metrics", "explain", "top", "health"}

// commands are the words that the command line can begin with beside types, and
// what they do.
var commands = [...]struct{ name, does string }{
	{"ctl", "speak to a running server"},
	{"convert", "convert a file of stunnel or hitch"},
	{"help", "explain a word"},
	{"init", "write a first conf file"},
	{"version", "print the version"},
}

// words returns the names of commands.
func words() []string {
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	return names
}

// helpWords are what --help is asked for most.
var helpWords = [...]string{"all", "access", "admission", "backend", "certificate", "handlers", "http", "limits", "log", "mtls", "ports", "process", "program", "tls", "udp"}

// maxSummary is how much of a key's help stands beside it in a list.
const maxSummary = 60

// summary is the help of a key on one short line.
func summary(k conf.Key) string {
	text := strings.Join(strings.Fields(k.Help), " ")
	for _, end := range []string{" (default", "; "} {
		text, _, _ = strings.Cut(text, end)
	}
	if r := []rune(text); len(r) > maxSummary {
		text = string(r[:maxSummary])
		if i := strings.LastIndexByte(text, ' '); i > 0 {
			text = text[:i]
		}
		text += " ..."
	}
	return text
}
