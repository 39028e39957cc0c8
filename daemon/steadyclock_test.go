package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// A clock that is set must not make anything happen early, late or many times.
// It cannot be set for one process alone, so this looks at what the code does:
// times that are compared come from time.Now and keep its steady reading, which
// only a few functions drop. What is left is named here, with the reason why it
// does no harm.
func TestTimesKeepTheSteadyClock(t *testing.T) {
	harmless := map[string]string{
		"internal/wire/answering.go Round":        "shown to people only",
		"internal/wire/clusterstate.go Round":     "shown to people only",
		"internal/admin/events.go UnixMilli":      "shown to people only",
		"internal/supervisor/sockets.go ModTime":  "compared for equality with another of the same file",
		"internal/childproc/spawn.go ModTime":     "the same",
		"internal/pidfile/pidfile.go Truncate":    "of the file",
		"internal/pidfile/pidfile.go ModTime":     "age of a file that nobody has locked",
		"internal/acme/schedule.go Round":         "when to order a certificate is by the dates of certificates, and across starts of the server; TestClockJumps",
		"internal/acme/order.go UTC":              "shown to people only",
		"internal/acme/shared.go UnixMilli":       "by which nodes of a cluster tell old challenges, which are answered for a bounded time whatever it says",
		"internal/acme/challenge.go UnixMilli":    "the same",
		"internal/connlog/fields.go UTC":          "shown to people only",
		"internal/connlog/format.go Local":        "shown to people only",
		"alone_control.go UnixMilli":              "shown to people only",
		"internal/supervisor/counts.go UnixMilli": "shown to people only",
		"internal/ctl/metrics.go Unix":            "dates of certificates, and times that are shown to people only",
		"internal/acme/tally.go Unix":             "dates that are shown, of certificates and of the last failure",
		"internal/wire/page.go UnixNano":          "when a client came, shown to people only",
		"internal/wire/page.go Unix":              "the same",
		"version.go Parse":                        "of the commit",
		"internal/proc/began_linux.go Unix": "start of a process that a pid file names and that has not locked it; " +
			"compared with the time of the file",
	}
	drop := map[string]bool{
		"Unix": true, "UnixNano": true, "UnixMilli": true, "UnixMicro": true, "UTC": true, "Local": true, "In": true,
		"Truncate": true, "ModTime": true, "Date": true, "Parse": true,
	}
	seen := make(map[string]bool)
	for _, pattern := range []string{"*.go", "internal/*/*.go", "../internal/proc/*.go", "../internal/childproc/*.go", "../internal/pidfile/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) < 5 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				round0 := sel.Sel.Name == "Round" && len(call.Args) == 1 && isZero(call.Args[0])
				x, _ := sel.X.(*ast.Ident)
				other := sel.Sel.Name == "Parse" && (x == nil || x.Name != "time")
				file := other || x != nil && (x.Name == "os" || x.Name == "f" || x.Name == "filepath" || x.Name == "p")
				if !drop[sel.Sel.Name] && !round0 || file {
					return true
				}
				use := strings.TrimPrefix(name, "../") + " " + sel.Sel.Name
				if harmless[use] == "" {
					t.Errorf("%v: %s drops the steady reading of a time", fset.Position(n.Pos()), sel.Sel.Name)
				}
				seen[use] = true
				return true
			})
		}
	}
	for use := range harmless {
		if !seen[use] {
			t.Errorf("%s is not there any more", use)
		}
	}
}

func isZero(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Value == "0"
}
