package convert

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
)

// The kinds of files that KindOf knows.
const (
	Stunnel = "stunnel"
	Hitch   = "hitch"
	HAProxy = "HAProxy"
	Nginx   = "nginx"
	Shell   = "shell"
	Perl    = "Perl"
	JSON    = "JSON"
)

var (
	perlLine      = regexp.MustCompile(`(?m)^(?:#!.*\bperl\b|\s*(?:use|package)\s+[\w:]+[^\n]*;|\s*(?:my|our)\s*[($@%]|\s*['"]?\w+['"]?\s*=>\s)`)
	haproxyHead   = regexp.MustCompile(`(?m)^(?:global|defaults|(?:frontend|backend|listen)\s+[\w.:-]+)\s*(?:#.*)?\r?$`)
	haproxyLine   = regexp.MustCompile(`(?m)^\s+(?:bind|server|mode|use_backend|default_backend|balance)\s`)
	hitchLine     = regexp.MustCompile(`(?m)^\s*(?:frontend\s*=\s*[{"]|pem-file\s*=|pem-dir\s*=)`)
	stunnelPorts  = regexp.MustCompile(`(?mi)^\s*(?:accept|connect)\s*=`)
	stunnelOption = regexp.MustCompile(`(?mi)^\s*(?:\[[^\[\]]+\]\s*$|(?:cert|key|client|CAfile|CApath|verify\w*|sslVersion\w*|protocol|setuid|foreground)\s*=)`)
	nginxBlock    = regexp.MustCompile(`(?m)^\s*(?:events|http|stream|mail|server|upstream\s+\S+)\s*\{`)
	nginxLine     = regexp.MustCompile(`(?m)^[^#\n]*\b(?:listen|server|server_name|ssl_certificate|worker_processes|worker_connections|proxy_pass|include)\s+[^;{}\n]+;`)
	shellHead     = regexp.MustCompile(`^#!.*\b(?:ba|da|k|z)?sh\b`)
	jsonHead      = regexp.MustCompile(`^\s*[{\[]\s*["{}]`)
	tableLine     = regexp.MustCompile(`(?m)^\s*\[\[?[\w .-]+\]\]?\s*(?:#.*)?\r?$`)
	shellLine     = regexp.MustCompile(`^(?:export\s+)?[A-Z][A-Z0-9_]*=`)
)

// tomlExt is what the names of files in TOML end in.
const tomlExt = ".toml"

// KindOf tells whose conf file data is: one of the kinds above, or "" where it
// looks like none of them.
func KindOf(data []byte) string {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	switch {
	case perlLine.Match(data):
		return Perl
	case hitchLine.Match(data):
		return Hitch
	case haproxyHead.Match(data) && haproxyLine.Match(data):
		return HAProxy
	case stunnelPorts.Match(data) && stunnelOption.Match(data):
		return Stunnel
	case nginxBlock.Match(data) && nginxLine.Match(data):
		return Nginx
	case isShell(data) || shellHead.Match(data):
		return Shell
	case jsonHead.Match(data):
		return JSON
	}
	return ""
}

// isShell reports whether all lines are shell variables in capitals.
func isShell(data []byte) bool {
	found := false
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
		case !shellLine.Match(line):
			return false
		default:
			found = true
		}
	}
	return found
}

// Foreign returns what to say of a file that is another program's, or nil: whose
// it is, and what helps.
func Foreign(path string, data []byte) error {
	switch kind := KindOf(data); kind {
	case Stunnel, Hitch:
		return fmt.Errorf("this is a conf file of %s: netserver convert %s writes it as one of netserver; docs/RECIPES.md has such configurations", kind, path)
	case HAProxy:
		return errors.New("this is a conf file of HAProxy: docs/BACKENDS.md and docs/RECIPES.md have such configurations (netserver --help backend)")
	case Shell:
		return errors.New("this file sets shell variables: keys are written as in port 443/ssl, or as variables of the environment, NETSERVER_PORT=443/ssl, which systemd reads with EnvironmentFile=; see docs/CONFIGURATION.md")
	case Nginx:
		return errors.New("this is a conf file of nginx: docs/HTTP.md and docs/RECIPES.md have what it does with HTTP, streams and files (netserver --help proxy_to)")
	case Perl:
		return errors.New("this is Perl: a conf file has a line KEY VALUE for each key; docs/NET-SERVER.md says what becomes of a server in Perl")
	case JSON:
		return errors.New("this is JSON: a conf file has a line KEY VALUE for each key, or is TOML; see docs/CONFIGURATION.md")
	}
	if filepath.Ext(path) != tomlExt && tableLine.Match(data) {
		return fmt.Errorf("a file in sections is TOML here, and its name ends in %s; otherwise it has a line KEY VALUE for each key; see docs/CONFIGURATION.md", tomlExt)
	}
	return nil
}
