package daemon

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/port"
	"netserver/sock"
)

// placeOf identifies a port of a plan.
func placeOf(s port.Spec) string { return s.Proto + "|" + s.Host + "|" + s.Port + "|" + s.IPv }

// specOf returns the port of a listener, with the number that it is bound to.
func specOf(l net.Listener) port.Spec {
	if b, ok := l.(interface{ Spec() port.Spec }); ok {
		return b.Spec()
	}
	return port.Spec{}
}

// systemFiles are what name look-ups, time zones and verification of servers
// need.
var systemFiles = [...]string{
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services", "/etc/protocols",
	"/etc/localtime", "/usr/share/zoneinfo", "/etc/ssl", "/etc/pki", "/usr/share/ca-certificates",
	"/run/systemd/resolve", "/sys/kernel/mm/transparent_hugepage", "/proc/self", "/proc/sys/net",
	"/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes", // for max_memory
}

// A fence says which files a worker may reach.
type fence struct {
	read  []string // files and directories
	write []string // directories
	all   bool     // read and execute everything
}

// confine restricts what the worker may do to files. It can only be tightened
// from then on, and what the worker executes is restricted too.
func (w *worker) confine() error {
	p := &w.p.conf.Process
	own := w.v.server == nil && len(w.p.conf.Program) == 0 && !w.init.Job
	if p.Landlock == "0" || p.Landlock != "1" && !own {
		return nil
	}
	f := fence{write: p.LandlockWrite, all: !own || w.init.Plan.runsCommand()}
	if !f.all {
		f.read = append(systemFiles[:], w.init.Plan.paths()...)
	}
	level, err := restrictFiles(f)
	switch {
	case err == nil:
		what := "read the files that the configuration names"
		if f.all {
			what = "read and execute files"
		}
		w.confined = "Landlock is in force (" + level + "): they can only " + what
	case errors.Is(err, errors.ErrUnsupported) && p.Landlock != "1":
		w.confined = "this system has no Landlock: they can reach whatever their user can"
	default:
		return &conf.Problem{Key: "landlock", Err: err, Hint: "set landlock 0 to do without"}
	}
	return nil
}

// paths returns the directories of the files that the values of a plan name,
// and of UNIX sockets.
func (p *plan) paths() []string {
	var list []string
	add := func(v conf.Values) {
		for key, vals := range v {
			for _, val := range vals {
				for _, path := range pathsOf(key, val.Text) {
					if info, err := os.Stat(path); err == nil && info.IsDir() {
						list = append(list, path)
					} else if err == nil {
						list = append(list, filepath.Dir(path))
					}
				}
			}
		}
	}
	add(p.Values)
	for _, r := range p.Ports {
		add(r.Spec.Params)
	}
	for _, f := range p.Files {
		if abs, err := filepath.Abs(f); err == nil {
			list = append(list, filepath.Dir(abs))
		}
	}
	slices.Sort(list)
	// The root directory would be everything.
	return slices.DeleteFunc(slices.Compact(list), func(d string) bool { return d == "/" })
}

// runsCommand reports whether workers run a command for passwords of key files.
func (p *plan) runsCommand() bool {
	const key = "SSL_passwd_command"
	return !p.Isolate && (p.Values.Get(key) != "" || slices.ContainsFunc(p.Ports, func(r sock.Request) bool { return r.Spec.Params.Get(key) != "" }))
}

// pathsOf returns the paths, made absolute, that a value may consist of.
// Relative ones count for keys only whose names say that they are of files.
func pathsOf(key, value string) []string {
	var list []string
	named := slices.ContainsFunc([]string{"_file", "_dir", "_path"}, func(s string) bool { return strings.HasSuffix(key, s) })
	for _, path := range append(filepath.SplitList(value), value) {
		if filepath.IsAbs(path) {
			list = append(list, filepath.Clean(path))
		} else if abs, err := filepath.Abs(path); named && path != "" && err == nil {
			list = append(list, abs)
		}
	}
	return list
}
