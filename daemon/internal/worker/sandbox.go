package worker

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/internal/identity"
	"netserver/internal/sandbox"
	"netserver/port"
	"netserver/sock"
)

// placeOf identifies a port of a plan.
func placeOf(s port.Spec) string { return s.Proto + "|" + s.Host + "|" + s.Port + "|" + s.IPv }

// specOf returns the port of a listener, with the number that it is bound to.
func specOf(l net.Listener) port.Spec {
	if b, ok := l.(sock.Named); ok {
		return b.Spec()
	}
	return port.Spec{}
}

// systemFiles are what time zones and verification of servers need, and the
// runtime.
var systemFiles = [...]string{
	"/etc/services", "/etc/protocols",
	"/etc/localtime", "/usr/share/zoneinfo", "/etc/ssl", "/etc/pki", "/usr/share/ca-certificates",
	"/sys/kernel/mm/transparent_hugepage", "/proc/self", "/proc/sys/net",
	"/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes", // for max_memory
}

// nameFiles are what name look-ups need. Network managers and editors put new
// files in their places, which a rule for a file does not cover.
var nameFiles = [...]string{"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"}

// confine restricts what the worker may do: first to files, then of the
// kernel. It can only be tightened from then on, and what the worker executes is
// restricted too.
func (w *worker) confine() error {
	own := !w.o.Library && !w.conf.RunsProgram && !w.init.Job
	files, err := w.confineFiles(own)
	if err != nil {
		return err
	}
	calls, err := w.confineCalls(own)
	if err != nil {
		return err
	}
	w.confined = strings.Join(slices.DeleteFunc([]string{files, calls}, func(s string) bool { return s == "" }), "; ")
	return nil
}

// confineFiles restricts what the worker may do to files, and returns what that
// comes to, for the log. own says that all that serves clients is ours.
func (w *worker) confineFiles(own bool) (string, error) {
	p := w.conf
	if p.Landlock == "0" || p.Landlock != "1" && !own {
		return "", nil
	}
	box := sandbox.Sandbox{Write: p.LandlockWrite, All: !own || runsCommand(w.init.Plan), Abstract: p.AbstractSockets}
	names := false
	if !box.All {
		box.Read = append(systemFiles[:], plannedPaths(w.init.Plan)...)
		if w.init.Plan.NamesUsers() {
			box.Read = append(box.Read, "/etc/passwd", "/etc/group")
		}
		names = w.init.Plan.LooksUpNames()
		for _, file := range nameFiles {
			box.Read = append(box.Read, file)
			if names {
				box.Read = append(box.Read, placesOf(file)...)
			}
		}
	}
	level, err := sandbox.Restrict(box)
	switch {
	case err == nil:
		what := "read the files that the configuration names"
		switch {
		case box.All:
			what = "read and execute files"
		case names:
			what += ", and /etc to look up names"
		}
		return "Landlock is in force (" + level + "): workers can only " + what, nil
	case errors.Is(err, errors.ErrUnsupported) && p.Landlock != "1":
		return "this system has no Landlock: workers can access whatever their user can", nil
	}
	return "", &conf.Problem{Key: "landlock", Err: err, Hint: "set landlock 0 to turn it off"}
}

// confineCalls restricts the system calls that the worker may make, and returns
// what that comes to, for the log.
func (w *worker) confineCalls(own bool) (string, error) {
	how := w.conf.Seccomp
	switch {
	case how == "0" || w.init.Job || w.conf.RunsProgram || how != "1" && !own:
		return "", nil
	case runsCommand(w.init.Plan):
		if how == "1" {
			return "", &conf.Problem{Key: "seccomp", Err: errors.New("the processes that serve clients run the command of SSL_passwd_command"), Hint: "set key_isolation 1, so that the supervisor runs it, or seccomp 0"}
		}
		return "", nil
	}
	err := sandbox.RefuseCalls()
	switch {
	case err == nil:
		w.sealed = true
		return "seccomp is in force: workers cannot start processes", nil
	case errors.Is(err, errors.ErrUnsupported) && how != "1":
		return err.Error(), nil
	}
	return "", &conf.Problem{Key: "seccomp", Err: err, Hint: "set seccomp 0 to turn it off"}
}

// supervisorsFiles are those that only the supervisor opens: workers have pipes
// for what they log.
var supervisorsFiles = []string{"admin", "log_file", "access_log_file", "pid_file", "control_socket", "acme_storage", "acme_ca_file", "acme_eab_key_file", "cluster", "cluster_key_file", "cluster_password_file", "cluster_ca_file", "cluster_cert_file"}

// plannedPaths returns the files that the values of a plan name, and UNIX sockets, and
// the directories that they lie in: a file may be replaced by another.
func plannedPaths(p *wire.Plan) []string {
	var list []string
	add := func(v conf.Values) {
		for key, vals := range v {
			if slices.Contains(supervisorsFiles, key) {
				continue
			}
			for _, val := range vals {
				for _, path := range pathsOf(key, val.Text) {
					list = append(list, placesOf(path)...)
				}
			}
		}
	}
	for _, v := range p.All() {
		add(v)
	}
	for _, f := range p.Files {
		if abs, err := filepath.Abs(f); err == nil {
			list = append(list, placesOf(abs)...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// wide are directories that too much lies in for a link there to open them.
var wide = []string{"/", "/etc", "/usr", "/var", "/run", "/home", "/opt", "/srv", "/mnt", "/tmp", "/root", "/lib", "/proc", "/sys", "/dev"}

// placesOf returns what a worker must reach to read path now and when another
// file is put in its place: path itself, and the directories that it and the
// links on the way to it lie in. A link to a directory may come to lead
// elsewhere too, as a release's or a mounted secret's does.
func placesOf(path string) []string {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	list := []string{path}
	if !info.IsDir() {
		list = append(list, filepath.Dir(path))
	}
	identity.FileRights{}.Walk(path, func(dir string, _, entry fs.FileInfo) bool {
		if entry == nil || entry.Mode()&fs.ModeSymlink == 0 {
			return true
		}
		next := filepath.Join(dir, entry.Name())
		to, err := filepath.EvalSymlinks(next)
		if err != nil {
			return false
		}
		end, err := os.Stat(to)
		switch {
		case err != nil:
			return false
		case !end.IsDir():
			// Another link of the chain is visited by itself.
			list = append(list, dir, filepath.Dir(to))
		case !slices.Contains(wide, dir):
			list = append(list, dir)
		}
		return true
	})
	// The root directory would be everything.
	return slices.DeleteFunc(list, func(p string) bool { return p == "/" })
}

// runsCommand reports whether workers run a command for passwords of key files.
func runsCommand(p *wire.Plan) bool {
	const key = "SSL_passwd_command"
	return !p.Isolate && (p.Values.Get(key) != "" || slices.ContainsFunc(p.Ports, func(r sock.Request) bool { return r.Spec.Params.Get(key) != "" }))
}

// pathsOf returns the paths, made absolute, that a value may consist of.
// Relative ones count for keys only whose names say that they are of files.
func pathsOf(key, value string) []string {
	var list []string
	if key == "targets" {
		value, _, _ = strings.Cut(value, " ") // what else is said of the target
	}
	named := slices.ContainsFunc([]string{"_file", "_dir", "_path"}, func(s string) bool { return strings.HasSuffix(key, s) }) || key == "http_root"
	for _, path := range append(filepath.SplitList(value), value) {
		if filepath.IsAbs(path) {
			list = append(list, filepath.Clean(path))
		} else if abs, err := filepath.Abs(path); named && path != "" && err == nil {
			list = append(list, abs)
		}
	}
	return list
}
