package daemon

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// What a package says of itself, where Go cannot tell from the source tree:
// go build -ldflags "-X netserver/daemon.release=1.2.3", with the full hash as
// netserver/daemon.commit and its time, in RFC 3339, as netserver/daemon.date.
// Nothing else sets them.
var release, commit, date string

// Version returns the version that was built, or "devel", with the revision if
// it is known.
func Version() string {
	b := readBuild(debug.ReadBuildInfo())
	if b.Version != devel || b.Commit == "" {
		return b.Version
	}
	version := devel + " " + b.short()
	if b.Modified {
		version += " and changes"
	}
	return version
}

const devel = "devel"

// A build is what --version --json prints.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`   // empty if unknown
	Date     string `json:"date"`     // of the commit, RFC 3339, UTC; empty if unknown
	Modified bool   `json:"modified"` // the source tree had changes
	Go       string `json:"go"`
	System   string `json:"system"`
}

// pseudo is the end of the version that Go gives a revision without a tag.
var pseudo = regexp.MustCompile(`[-.](\d{14})-([0-9a-f]{12})(\+dirty)?$`)

// readBuild returns what is known of this program: what -X set first, then what
// go build found in the source tree, then what the version says that go install
// was given.
func readBuild(info *debug.BuildInfo, ok bool) build {
	b := build{Version: release, Commit: commit, Date: date, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if !ok {
		info = &debug.BuildInfo{}
	}
	main := info.Main.Version
	if main == "(devel)" {
		main = ""
	}
	if b.Version == "" {
		b.Version = cmp.Or(main, devel)
	}
	if b.Commit != "" {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = cmp.Or(b.Date, s.Value)
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	if m := pseudo.FindStringSubmatch(main); m != nil && b.Commit == "" {
		b.Commit, b.Modified = m[2], m[3] != ""
		if t, err := time.Parse("20060102150405", m[1]); err == nil && b.Date == "" {
			b.Date = t.Format(time.RFC3339)
		}
	}
	return b
}

// short is the commit as people write it.
func (b build) short() string { return b.Commit[:min(len(b.Commit), 12)] }

// line is what --version prints behind the program's name.
func (b build) line() string {
	changes := ""
	if b.Modified {
		changes = " and changes"
	}
	switch {
	case b.Commit != "" && b.Date != "":
		return fmt.Sprintf("%s (commit %s of %s%s)", b.Version, b.short(), b.Date, changes)
	case b.Commit != "":
		return fmt.Sprintf("%s (commit %s%s)", b.Version, b.short(), changes)
	}
	return b.Version
}

// printVersion answers --version, as JSON with --json beside it.
func printVersion(w io.Writer, program string, argv []string) {
	b := readBuild(debug.ReadBuildInfo())
	if slices.Contains(argv, "--json") {
		json.NewEncoder(w).Encode(b)
		return
	}
	fmt.Fprintln(w, program, b.line())
}
