package daemon

import (
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

// What --version says of a build from a package, from a source tree, by go
// install and from files alone.
func TestVersionOfEachBuild(t *testing.T) {
	const hash, at = "0123456789abcdef0123456789abcdef01234567", "2026-11-29T06:42:56Z"
	vcs := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: hash}, {Key: "vcs.time", Value: at}, {Key: "vcs.modified", Value: modified}}
	}
	for _, tt := range []struct {
		name                  string
		release, commit, date string
		main                  string
		settings              []debug.BuildSetting
		want                  string
	}{
		{name: "package", release: "1.2.3", commit: hash, date: at, want: "1.2.3 (commit 0123456789ab of 2026-11-29T06:42:56Z)"},
		{name: "package of another tree", release: "1.2.3", commit: hash, date: at, settings: vcs("true"), want: "1.2.3 (commit 0123456789ab of 2026-11-29T06:42:56Z)"},
		{name: "package without a commit", release: "1.2.3", want: "1.2.3"},
		{name: "source tree", main: "(devel)", settings: vcs("false"), want: "devel (commit 0123456789ab of 2026-11-29T06:42:56Z)"},
		{name: "source tree with changes", settings: vcs("true"), want: "devel (commit 0123456789ab of 2026-11-29T06:42:56Z and changes)"},
		{name: "tag", main: "v1.2.3", settings: vcs("false"), want: "v1.2.3 (commit 0123456789ab of 2026-11-29T06:42:56Z)"},
		{name: "go install of a tag", main: "v1.2.3", want: "v1.2.3"},
		{name: "go install of a commit", main: "v0.0.0-20261129064256-0123456789ab", want: "v0.0.0-20261129064256-0123456789ab (commit 0123456789ab of 2026-11-29T06:42:56Z)"},
		{name: "go install of a commit after a tag", main: "v1.2.4-0.20261129064256-0123456789ab", want: "v1.2.4-0.20261129064256-0123456789ab (commit 0123456789ab of 2026-11-29T06:42:56Z)"},
		{name: "files alone", main: "(devel)", want: "devel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			release, commit, date = tt.release, tt.commit, tt.date
			defer func() { release, commit, date = "", "", "" }()
			b := readBuild(&debug.BuildInfo{Main: debug.Module{Version: tt.main}, Settings: tt.settings}, true)
			if got := b.line(); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if b := readBuild(nil, false); b.Version != "devel" || b.Commit != "" {
		t.Errorf("without build information: %+v", b)
	}
}

func TestVersionAsJSON(t *testing.T) {
	var out strings.Builder
	printVersion(&out, "netserver", []string{"--version", "--json"})
	var b build
	if err := json.Unmarshal([]byte(out.String()), &b); err != nil || b.Version == "" || b.Go == "" || !strings.Contains(b.System, "/") {
		t.Errorf("%s: %+v, %v", &out, b, err)
	}
}
