package netserver_test

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layout lists the folders bottom up: a folder may import only folders that
// stand above it in this list, and itself. Folders on one line stand side by
// side and import none of each other; handler/* is each folder below handler.
// CONTRIBUTING.md says what lives where.
var layout = [][]string{
	{"conf"},
	{"internal/place"},
	{"port"},
	{"access"},
	{"internal/certfile"},
	{"internal/events", "internal/signer", "internal/watch"},
	{"cluster"},
	{"tlsparams"},
	{"internal/admit", "internal/deadline", "internal/lograte", "internal/poll", "internal/session", "internal/slots", "outcome"},
	{"internal/answer", "internal/hello", "internal/metric", "internal/park", "internal/relay"},
	{"sock"},
	{"internal/descriptors", "internal/mend", "internal/proc"},
	{"internal/childproc"},
	{"internal/foreign"},
	{"internal/identity", "internal/pidfile", "internal/sandbox", "internal/systemd"},
	{"logs"},
	{"proto", "starttls"},
	{"internal/bridge", "internal/control"},
	{"."},
	{"handler/*"},
	{"netservertest"},
	{"daemon/internal/wire"},
	{"daemon/internal/connlog", "daemon/internal/logging"},
	{"daemon/internal/serving"},
	{"daemon/internal/acme", "daemon/internal/admin", "daemon/internal/clustering", "daemon/internal/convert", "daemon/internal/ctl", "daemon/internal/help", "daemon/internal/starter", "daemon/prommetrics", "daemon/top"},
	{"daemon/internal/supervisor", "daemon/internal/worker"},
	{"daemon"},
	{"cmd/netserver"},
	{"bench", "contrib", "docs", "examples", "packaging"},
}

// testHelp is for tests and measurements only, whatever level they stand on.
const testHelp = "netservertest"

const maxFileLines = 450 // of a file that is no test

// A source is what the layout rules look at in one Go file.
type source struct {
	file    string // slash-separated, below the module's root
	imports []string
}

// folder returns the folder of the layout that a file or a package below the
// module's root belongs to, and its level; the level is -1 if there is none.
func folder(dir string) (string, int) {
	for level, names := range layout {
		for _, name := range names {
			if parent, ok := strings.CutSuffix(name, "/*"); ok {
				if rest, ok := strings.CutPrefix(dir, parent+"/"); ok {
					first, _, _ := strings.Cut(rest, "/")
					return parent + "/" + first, level
				}
			} else if dir == name || name != "." && strings.HasPrefix(dir, name+"/") {
				return name, level
			}
		}
	}
	return dir, -1
}

// checkImports returns what breaks the layout of a module, one text a breach.
func checkImports(module string, files []source) []string {
	var bad []string
	for _, f := range files {
		from, level := folder(path.Dir(f.file))
		if level < 0 {
			bad = append(bad, fmt.Sprintf("%s: the folder %s is not in the layout: add it to the list in layout_test.go, at the level where it belongs, and to CONTRIBUTING.md", f.file, from))
			continue
		}
		test := strings.HasSuffix(f.file, "_test.go") || slices.Contains(layout[len(layout)-1], from)
		for _, imp := range f.imports {
			dir, ours := moduleDir(module, imp)
			if !ours {
				continue
			}
			to, below := folder(dir)
			switch {
			case to == from || below < 0: // an unknown folder is reported for its own files
			case to == testHelp:
				if !test {
					bad = append(bad, fmt.Sprintf("%s imports %s, which is for tests", f.file, imp))
				}
			case below >= level:
				bad = append(bad, fmt.Sprintf("%s imports %s, but %s does not stand above %s in the layout", f.file, imp, to, from))
			}
		}
	}
	return bad
}

// modulePath returns the module's path, which packaging/rename changes.
func modulePath(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	name, ok := strings.CutPrefix(strings.TrimSpace(line), "module ")
	if !ok {
		t.Fatalf("go.mod begins with %q, not with the module's path", line)
	}
	return name
}

// moduleDir returns the folder of an imported package of the module.
func moduleDir(module, imp string) (string, bool) {
	if imp == module {
		return ".", true
	}
	return strings.CutPrefix(imp, module+"/")
}

// goFiles returns every Go file of the module, for whatever system.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != "." && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, ".go") {
			files = append(files, filepath.ToSlash(p))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("found only %d Go files", len(files))
	}
	return files
}

func TestLayoutImportsGoDownward(t *testing.T) {
	module, ours := modulePath(t), 0
	var files []source
	for _, name := range goFiles(t) {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		s := source{file: name}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			s.imports = append(s.imports, imp)
			if _, ok := moduleDir(module, imp); ok {
				ours++
			}
		}
		files = append(files, s)
	}
	if ours < 100 {
		t.Errorf("only %d imports are of the module %s: the rules look at nothing", ours, module)
	}
	for _, bad := range checkImports(module, files) {
		t.Error(bad)
	}
}

// A program that uses the library, or package daemon, links nothing that is for
// the command's metrics or its terminal alone.
func TestLayoutHeavyDependencies(t *testing.T) {
	module := modulePath(t)
	for _, tt := range []struct {
		pkg   string
		links bool
	}{{module, false}, {module + "/daemon", false}, {module + "/handler/httpd", false}, {module + "/cmd/netserver", true}} {
		out, err := exec.Command("go", "list", "-deps", tt.pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, heavy := range []string{"github.com/prometheus/client_golang/prometheus", "google.golang.org/protobuf/proto", "charm.land/bubbletea/v2"} {
			if got := slices.Contains(strings.Fields(string(out)), heavy); got != tt.links {
				t.Errorf("%s links %s: %v, want %v", tt.pkg, heavy, got, tt.links)
			}
		}
	}
}

// Each store of package cluster is linked only by who imports it: the command,
// and no other package.
func TestLayoutStores(t *testing.T) {
	module := modulePath(t)
	clients := map[string]string{"/cluster/redisstore": "github.com/redis/go-redis/v9", "/cluster/natsstore": "github.com/nats-io/nats.go"}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	owners := 0
	for line := range strings.Lines(string(out)) {
		deps := strings.Fields(line)
		pkg := strings.TrimPrefix(deps[0], module)
		for owner, client := range clients {
			may := pkg == owner || pkg == "/cmd/netserver"
			if links := slices.Contains(deps, client); links != may {
				t.Errorf("%s links %s: %v, want %v", deps[0], client, links, may)
			}
			if may {
				owners++
			}
		}
	}
	if owners != 4 {
		t.Errorf("%d packages link a client as they should, want 4", owners)
	}
}

func TestLayoutRulesCatchBreaches(t *testing.T) {
	for _, tt := range []struct {
		file, imp string
		want      string // a part of the complaint; none if empty
	}{
		{"conf/key.go", "strings", ""},
		{"port/parse.go", "netserver/conf", ""},
		{"conf/key.go", "netserver/port", "port does not stand above conf"},
		{"proto/tls.go", "netserver", ". does not stand above proto"},
		{"serve.go", "netserver/handler/echo", "handler/echo does not stand above ."},
		{"serve.go", "netserver/proto", ""},
		{"handler/echo/echo.go", "netserver", ""},
		{"handler/echo/raw/raw.go", "netserver/handler/echo", ""},
		{"handler/echo/echo.go", "netserver/handler/proxy", "handler/proxy does not stand above handler/echo"},
		{"handler/echo/echo_test.go", "netserver/handler/proxy", "does not stand above"},
		{"daemon/run.go", "netserver/handler/echo", ""},
		{"daemon/run.go", "netserver/cmd/netserver", "does not stand above"},
		{"daemon/run.go", "netserver/netservertest", "for tests"},
		{"daemon/run_test.go", "netserver/netservertest", ""},
		{"daemon/run.go", "netserver/daemon/internal/supervisor", ""},
		{"daemon/internal/supervisor/hear.go", "netserver/daemon/internal/wire", ""},
		{"daemon/internal/supervisor/hear.go", "netserver/daemon", "does not stand above"},
		{"daemon/internal/supervisor/hear.go", "netserver/daemon/internal/worker", "does not stand above"},
		{"daemon/internal/worker/worker.go", "netserver/daemon/internal/supervisor", "does not stand above"},
		{"daemon/internal/wire/rules.go", "netserver/daemon/internal/supervisor", "does not stand above"},
		{"conf/key_test.go", "netserver/netservertest", ""},
		{"conf/key_test.go", "netserver/daemon", "does not stand above"},
		{"bench/load/main.go", "netserver/netservertest", ""},
		{"bench/load/main.go", "netserver/examples/echo", "does not stand above"},
		{"examples/echo/main.go", "netserver/daemon", ""},
		{"contrib/otel/otel.go", "netserver/proto", ""},
		{"cluster/node.go", "netserver", "does not stand above"},
		{"daemon/run.go", "netserver/cluster", ""},
		{"util/util.go", "strings", "not in the layout"},
		{"cmd/other/main.go", "netserver", "not in the layout"},
		{"confused/x.go", "netserver", "not in the layout"},
	} {
		bad := strings.Join(checkImports("netserver", []source{{tt.file, []string{tt.imp}}}), "; ")
		if tt.want == "" && bad != "" || !strings.Contains(bad, tt.want) {
			t.Errorf("%s importing %s: got %q, want %q", tt.file, tt.imp, bad, tt.want)
		}
	}
}

func TestEveryFolderHasADoc(t *testing.T) {
	documented := map[string]bool{}
	for _, name := range goFiles(t) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		dir := path.Dir(name)
		documented[dir] = documented[dir] || f.Doc != nil && strings.TrimSpace(f.Doc.Text()) != ""
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment: write its paragraph in doc.go", dir)
		}
	}
}

func TestFilesStaySmall(t *testing.T) {
	for _, name := range goFiles(t) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b, []byte("\n")); n > maxFileLines {
			t.Errorf("%s has %d lines; above %d it should become two files", name, n, maxFileLines)
		}
	}
}

// maxPackageFiles is how many files a package may have beside its tests; above it
// parts of it should become packages of their own.
const maxPackageFiles = 30

// largePackages may have more files than maxPackageFiles: how many, and why.
var largePackages = map[string]struct {
	files int
	why   string
}{}

func TestPackagesStaySmall(t *testing.T) {
	count := map[string]int{}
	for _, name := range goFiles(t) {
		if !strings.HasSuffix(name, "_test.go") {
			count[path.Dir(name)]++
		}
	}
	for dir, n := range count {
		most := maxPackageFiles
		if large, ok := largePackages[dir]; ok {
			most = large.files
			if n <= maxPackageFiles {
				t.Errorf("%s has %d files: take it out of largePackages", dir, n)
			}
		}
		if n > most {
			t.Errorf("%s has %d files beside its tests, more than %d: which of them are a room of their own?", dir, n, most)
		}
	}
}

// maxRootFiles is how many files the root package may have beside its tests: one
// for each stage of a client, and what the library shows.
const maxRootFiles = 26

// platformFile matches a file's name or constraint that depends on the system.
var platformFile = regexp.MustCompile(`_(linux|darwin|freebsd|bsd|windows|unix|other)\.go$`)

// The root package tells one story, on every system the same: what depends on
// the system stands in internal/.
func TestLayoutOfTheRoot(t *testing.T) {
	n := 0
	for _, name := range goFiles(t) {
		if path.Dir(name) != "." || strings.HasSuffix(name, "_test.go") {
			continue
		}
		n++
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if platformFile.MatchString(name) || bytes.HasPrefix(b, []byte("//go:build")) {
			t.Errorf("%s is for some systems only: move it below internal/", name)
		}
	}
	if n > maxRootFiles {
		t.Errorf("%d files in the root package, more than %d: does the new one belong to a stage, or below internal/?", n, maxRootFiles)
	}
}

// Each module that a go.mod asks for itself has its reason in CONTRIBUTING.md.
func TestDependenciesHaveReasons(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	unasked := map[string]bool{} // and listed
	for _, row := range regexp.MustCompile(`(?m)^\| (\S+\.\S+/\S+(?:, \S+\.\S+/\S+)*) \|`).FindAllSubmatch(text, -1) {
		for name := range strings.SplitSeq(string(row[1]), ", ") {
			unasked[name] = true
		}
	}
	listed := slices.Collect(maps.Keys(unasked))
	direct := regexp.MustCompile(`(?m)^(?:tool|require|\t)\s*(\S+\.\S+/\S+)(?: v\S+)?$`)
	for _, file := range []string{"go.mod", "packaging/release/go.mod", "contrib/otel/go.mod"} {
		mod, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := direct.FindAllSubmatch(mod, -1) // lines with // indirect do not match
		if len(found) == 0 {
			t.Errorf("%s asks for nothing", file)
		}
		for _, m := range found {
			name := string(m[1])
			reasons := slices.Collect(func(yield func(string) bool) {
				for _, l := range listed {
					if (name == l || strings.HasPrefix(name, l+"/")) && !yield(l) {
						return
					}
				}
			})
			if len(reasons) == 0 && name != modulePath(t) {
				t.Errorf("%s asks for %s: say why in CONTRIBUTING.md's list of dependencies", file, name)
			}
			for _, l := range reasons {
				delete(unasked, l)
			}
		}
	}
	for name := range unasked {
		t.Errorf("CONTRIBUTING.md lists %s, which no go.mod asks for", name)
	}
}

// machinePath matches a path that exists on one developer's machine only.
var machinePath = regexp.MustCompile(`(?:^|[^\w/.~-])(/(?:ro` + `ot|wo` + `rk)/[\w.]|/(?:ho` + `me|Us` + `ers)/\w+/)`)

func TestNoMachinePaths(t *testing.T) {
	for text, want := range map[string]bool{
		"see /ho" + "me/jo/x": true, "/wo" + "rk/x": true, "\"/ro" + "ot/key.pem\"": true,
		"https://example.org/wo" + "rk/x": false, "/var/log/x": false, "./ro" + "ot/x": false,
	} {
		if machinePath.MatchString(text) != want {
			t.Errorf("%q: matched %v", text, !want)
		}
	}
	if _, err := os.Stat(".git"); err != nil {
		t.Skip("not a git checkout")
	}
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		t.Skip("no list of tracked files:", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // removed but not committed, or a link
		}
		for i, line := range bytes.Split(b, []byte("\n")) {
			if m := machinePath.FindSubmatch(line); m != nil {
				t.Errorf("%s:%d: %s is a path of one machine", name, i+1, m[1])
			}
		}
	}
}
