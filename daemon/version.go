package daemon

import "runtime/debug"

// release is the version of a package, where the source tree cannot tell:
// go build -ldflags "-X netserver/daemon.release=1.2.3". Nothing else sets it.
var release string

// Version returns the version that was built, or "devel", with the revision if
// it is known.
func Version() string {
	if release != "" {
		return release
	}
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := b.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	version, changed := "devel", ""
	for _, s := range b.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			version += " " + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " and changes"
		}
	}
	return version + changed
}
