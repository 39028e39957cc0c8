package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A copy of the module under another path builds, and nothing imports the old
// one any more.
func TestRename(t *testing.T) {
	dir, root := t.TempDir(), "../.."
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, p)
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"example.org/one/netserver", "example.org/two"} {
		if err := rename(dir, to); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "list", "-deps", "-test", "-f", `{{with .Error}}{{.}}{{end}}`, "./...")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), ":") {
			t.Errorf("go list: %v\n%s", err, out)
		}
		cmd = exec.Command("go", "list", "./examples/hello", ".")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != to+"/examples/hello\n"+to+"\n" {
			t.Errorf("go list: %v\n%s", err, out)
		}
		program, err := os.ReadFile(filepath.Join(dir, "examples/hello/main.go"))
		if b, _ := os.ReadFile(filepath.Join(dir, "README.md")); err != nil || !strings.Contains(string(b), "```go\n"+string(program)+"```\n") {
			t.Errorf("README.md has another program than examples/hello, which is, with %s:\n%s", to, program)
		}
		if b, err := os.ReadFile(filepath.Join(dir, "README.md")); err != nil || !strings.Contains(string(b), `import "`+to+`"`) || !strings.Contains(string(b), "-replace "+to+"=") {
			t.Errorf("README.md does not tell of %s", to)
		}
	}
	for name, want := range map[string]string{
		"packaging/Dockerfile":     "-X example.org/two/daemon.release=",
		"docs/INSTALL.md":          "-X example.org/two/daemon.release=",
		"examples/protocol/go.mod": "replace example.org/two => ../..",
		"contrib/otel/go.mod":      "module example.org/two/contrib/otel\n\ngo 1.26.0\n\nrequire example.org/two v0.0.0\n",
	} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %q: %v", name, want, err)
		}
	}
	// With -trimpath what was built once is in the cache for the next run.
	for _, args := range [][]string{{"test", "-trimpath", "-vet=off", "-run=^(TestLayout.*|TestEveryFolderHasADoc)$", "."}, {"vet", "-trimpath", "./examples/hello", "./packaging/rename"}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %v: %v\n%s", args, err, out)
		}
	}
	for _, bad := range []string{"", "a b", `x"`, "example.org/"} {
		if err := rename(dir, bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
