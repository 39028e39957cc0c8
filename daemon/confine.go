package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"netserver/conf"
	"netserver/port"
)

// placeOf identifies a port of a plan.
func placeOf(s port.Spec) string { return s.Proto + "|" + s.Host + "|" + s.Port + "|" + s.IPv }

// systemFiles are what name look-ups, time zones and verification of servers
// need.
var systemFiles = [...]string{
	"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services", "/etc/protocols",
	"/etc/localtime", "/usr/share/zoneinfo", "/etc/ssl", "/etc/pki", "/usr/share/ca-certificates",
	"/run/systemd/resolve", "/sys/kernel/mm/transparent_hugepage", "/proc/self", "/proc/sys/net",
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
	f := fence{write: p.LandlockWrite, all: !own}
	if own {
		f.read = append(systemFiles[:], w.init.Plan.paths()...)
	}
	level, err := restrictFiles(f)
	switch {
	case err == nil:
		what := "read the files that the configuration names"
		if f.all {
			what = "read and execute files"
		}
		w.confined = append(w.confined, "Landlock is in force ("+level+"): the serving processes can only "+what)
	case errors.Is(err, errors.ErrUnsupported) && p.Landlock != "1":
		w.confined = append(w.confined, "this system has no Landlock: the serving processes can reach whatever their user can")
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
		for _, vals := range v {
			for _, val := range vals {
				if !filepath.IsAbs(val.Text) {
					continue
				}
				if info, err := os.Stat(val.Text); err == nil && info.IsDir() {
					list = append(list, val.Text)
				} else if err == nil {
					list = append(list, filepath.Dir(val.Text))
				}
			}
		}
	}
	add(p.Values)
	for _, r := range p.Ports {
		add(r.Spec.Params)
	}
	for _, f := range p.Files {
		list = append(list, filepath.Dir(f))
	}
	slices.Sort(list)
	// The root directory would be everything.
	return slices.DeleteFunc(slices.Compact(list), func(d string) bool { return d == "/" })
}
