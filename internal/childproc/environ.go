package childproc

import (
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// programVars are what a program has of the server's environment, be it run for
// a client or as a job: where programs are, time zone, language, and who it is.
// A star at the end stands for anything. What else there is may be secret, and
// the server's own.
var programVars = []string{"PATH", "TZ", "LANG", "LANGUAGE", "LC_*", "HOME", "USER", "LOGNAME", "SHELL"}

// windowsVars are what programs on Windows do not start without.
var windowsVars = []string{"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE"}

// serversOwn are the names by which others speak to the server itself. A
// program that read them would take itself for the server.
var serversOwn = []string{
	"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "NOTIFY_SOCKET",
	"WATCHDOG_PID", "WATCHDOG_USEC", "BOUND_SOCKETS", "NETSERVER_*",
}

// ProgramEnviron returns the environment of a program that a server with the
// environment server runs: a short list of it, and more. Of more an entry
// NAME=VALUE sets a variable, NAME passes the server's own on, and PREFIX*
// those whose names begin so. What is for the server alone is never passed on.
// A program that is not told who it is, is told so.
func ProgramEnviron(server, more []string) []string {
	names := slices.Clone(programVars)
	if runtime.GOOS == "windows" {
		names = append(names, windowsVars...)
	}
	var list environ
	for _, kv := range more {
		if name, _, ok := strings.Cut(kv, "="); !ok {
			names = append(names, name)
		}
	}
	for _, kv := range server {
		name, _, ok := strings.Cut(kv, "=")
		if ok && matches(names, name) && !matches(serversOwn, name) {
			list.put(kv)
		}
	}
	if missing := list.without("HOME", "USER", "LOGNAME", "SHELL"); len(missing) > 0 {
		for _, kv := range loginVars(os.Geteuid()) {
			if name, _, _ := strings.Cut(kv, "="); slices.Contains(missing, name) {
				list.put(kv)
			}
		}
	}
	for _, kv := range more {
		if strings.Contains(kv, "=") {
			list.put(kv)
		}
	}
	return slices.Clip(list)
}

// GivenEnviron returns what of more, as ProgramEnviron takes it, a program gets
// that has nothing else: variables that are set, and those of this process that
// are named.
func GivenEnviron(more []string) []string {
	var list environ
	var names []string
	for _, kv := range more {
		if !strings.Contains(kv, "=") {
			names = append(names, kv)
		}
	}
	for _, kv := range os.Environ() {
		if name, _, ok := strings.Cut(kv, "="); ok && matches(names, name) && !matches(serversOwn, name) {
			list.put(kv)
		}
	}
	for _, kv := range more {
		if strings.Contains(kv, "=") {
			list.put(kv)
		}
	}
	return list
}

// LoginEnviron returns env with HOME, USER, LOGNAME and SHELL of another
// user. Of one without an entry it has none of them.
func LoginEnviron(env []string, uid int) []string {
	var list environ
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		if !slices.Contains([]string{"HOME", "USER", "LOGNAME", "SHELL"}, name) {
			list.put(kv)
		}
	}
	return append(list, loginVars(uid)...)
}

// IsServersOwn reports whether a variable of that name is for the server alone.
func IsServersOwn(name string) bool { return matches(serversOwn, name) }

// matches reports whether a name is in a list.
func matches(list []string, name string) bool {
	if runtime.GOOS == "windows" {
		name = strings.ToUpper(name)
	}
	return slices.ContainsFunc(list, func(s string) bool {
		prefix, star := strings.CutSuffix(s, "*")
		return s == name || star && strings.HasPrefix(name, prefix)
	})
}

// An environ is an environment being made; the last of a name counts.
type environ []string

func (e *environ) put(kv string) {
	name, _, _ := strings.Cut(kv, "=")
	for i, have := range *e {
		if strings.HasPrefix(have, name) && strings.HasPrefix(have[len(name):], "=") {
			(*e)[i] = kv
			return
		}
	}
	*e = append(*e, kv)
}

// without returns those of names that are not set.
func (e environ) without(names ...string) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(e, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	})
}

// loginVars returns what login tells a user.
func loginVars(uid int) []string {
	id := strconv.Itoa(uid)
	u, err := user.LookupId(id)
	if err != nil {
		return nil
	}
	return []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username, "SHELL=" + shellOf(id)}
}

// shellOf returns a user's shell as /etc/passwd has it; without an entry there
// it is the system's own.
func shellOf(id string) string {
	b, err := os.ReadFile("/etc/passwd")
	if err == nil {
		for line := range strings.Lines(string(b)) {
			f := strings.Split(strings.TrimSpace(line), ":")
			if len(f) == 7 && f[2] == id && f[6] != "" {
				return f[6]
			}
		}
	}
	return "/bin/sh"
}
