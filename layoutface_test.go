package netserver_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// isInternal reports whether a package of a module is below a folder internal.
func isInternal(module, pkg string) bool {
	dir, ours := moduleDir(module, pkg)
	return ours && slices.Contains(strings.Split(dir, "/"), "internal")
}

// A faceCheck finds what a package's exported names show of internal packages.
type faceCheck struct {
	module string
	pkg    *types.Package
	seen   map[types.Type]bool
	bad    []string
}

// checkFace returns each place where an exported name of pkg, or what one can
// do with its value, names a type of an internal package of the module.
func checkFace(module string, pkg *types.Package) []string {
	c := faceCheck{module: module, pkg: pkg, seen: make(map[types.Type]bool)}
	for _, name := range pkg.Scope().Names() {
		if obj := pkg.Scope().Lookup(name); obj.Exported() {
			c.object(obj)
		}
	}
	return c.bad
}

func (c *faceCheck) object(obj types.Object) {
	tn, ok := obj.(*types.TypeName)
	switch {
	case !ok:
		c.look(obj.Name(), obj.Type())
	case tn.IsAlias():
		c.look(obj.Name(), types.Unalias(obj.Type()))
	default:
		c.named(obj.Name(), obj.Type().(*types.Named))
	}
}

// named looks into a type of the package itself: at its fields and methods, and
// at those that it has of what it embeds.
func (c *faceCheck) named(at string, t *types.Named) {
	if c.seen[t] {
		return
	}
	c.seen[t] = true
	for p := range t.TypeParams().TypeParams() {
		c.look(at, p)
	}
	c.look(at, t.Underlying())
	for m := range types.NewMethodSet(types.NewPointer(t)).Methods() {
		if m.Obj().Exported() {
			c.look(at+"."+m.Obj().Name(), m.Obj().Type())
		}
	}
}

// look looks at a type as it is written at a place.
func (c *faceCheck) look(at string, t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		c.name(at, t.Obj())
		c.look(at, types.Unalias(t))
	case *types.Named:
		for a := range t.TypeArgs().Types() {
			c.look(at, a)
		}
		if c.name(at, t.Obj()); t.Obj().Pkg() == c.pkg && !t.Obj().Exported() {
			c.named(at, t)
		}
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Embedded() && promotes(f) {
				c.look(at+"."+f.Name(), f.Type())
			}
		}
	case *types.Interface:
		for m := range t.Methods() { // those of embedded ones too
			if m.Exported() {
				c.look(at+"."+m.Name(), m.Type())
			}
		}
	case *types.TypeParam:
		c.look(at, t.Constraint())
	case *types.Signature:
		for p := range t.TypeParams().TypeParams() {
			c.look(at, p)
		}
		for v := range t.Params().Variables() {
			c.look(at, v.Type())
		}
		for v := range t.Results().Variables() {
			c.look(at, v.Type())
		}
	case *types.Map:
		c.look(at, t.Key())
		c.look(at, t.Elem())
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		c.look(at, t.Elem())
	}
}

func (c *faceCheck) name(at string, obj *types.TypeName) {
	if obj.Pkg() == nil || !isInternal(c.module, obj.Pkg().Path()) {
		return
	}
	bad := fmt.Sprintf("%s.%s shows %s.%s", c.pkg.Path(), at, obj.Pkg().Path(), obj.Name())
	if !slices.Contains(c.bad, bad) {
		c.bad = append(c.bad, bad)
	}
}

// promotes reports whether an embedded struct lends exported fields.
func promotes(f *types.Var) bool {
	s, ok := f.Type().Underlying().(*types.Struct)
	if !ok {
		return false
	}
	for g := range s.Fields() {
		if g.Exported() || g.Embedded() && promotes(g) {
			return true
		}
	}
	return false
}

// Whoever uses a public package can write down every type that its exported
// names show: none is of an internal package.
func TestLayoutShowsNoInternalType(t *testing.T) {
	module := modulePath(t)
	files := exportFiles(t)
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(pkg string) (io.ReadCloser, error) { return os.Open(files[pkg]) })
	looked := 0
	for pkg, file := range files {
		if _, ours := moduleDir(module, pkg); !ours || isInternal(module, pkg) || file == "" { // only tests
			continue
		}
		p, err := imp.Import(pkg)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name() == "main" {
			continue
		}
		looked++
		for _, bad := range checkFace(module, p) {
			t.Errorf("%s: give it a type of its own, or move what only the command needs to internal/bridge", bad)
		}
	}
	if looked < 10 {
		t.Errorf("looked at %d packages only", looked)
	}
}

// exportFiles returns the files with the types of the module's packages, tests
// apart, and of all that they import.
func exportFiles(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no go command")
	}
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	files := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		pkg, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files[pkg] = file
	}
	return files
}

// What the rule finds, and what it lets pass.
func TestLayoutRulesCatchInternalTypes(t *testing.T) {
	hidden := types.NewPackage("netserver/internal/hidden", "hidden")
	def := types.NewTypeName(token.NoPos, hidden, "T", nil)
	types.NewNamed(def, types.NewStruct(nil, nil), nil)
	hidden.Scope().Insert(def)
	hidden.MarkComplete()
	for text, want := range map[string]string{
		"type Env struct{ Read func() []hidden.T }":                                             "Env.Read",
		"type T = hidden.T":                                                                     "T",
		"type T hidden.T":                                                                       "", // a type of its own
		"type F func(map[string]*hidden.T)":                                                     "F",
		"func F(hidden.T) {}":                                                                   "F",
		"func f(hidden.T) {}":                                                                   "",
		"var V chan [2]hidden.T":                                                                "V",
		"type S struct{}; func (*S) M() hidden.T { panic(0) }":                                  "S.M",
		"type S struct{}; func (*S) m() hidden.T { panic(0) }":                                  "",
		"type S struct{ f hidden.T }":                                                           "",
		"type S struct{ hidden.T }":                                                             "S.T",
		"type s struct{ A hidden.T }; type S struct{ s }":                                       "S.s.A",
		"type s struct{}; func (s) M(hidden.T) {}; type S struct{ s }":                          "S.M",
		"type s struct{ A hidden.T }; func F() s { panic(0) }":                                  "F.A",
		"type I interface{ M(hidden.T) }":                                                       "I.M",
		"type G[P any] struct{ p P }; func F() G[hidden.T] { panic(0) }":                        "F",
		"func F[P interface{ M() hidden.T }](P) {}":                                             "F.M",
		"type a = hidden.T; type S struct{ A a }":                                               "S.A",
		"type S struct{ Next *S; m map[string]hidden.T }; func (S) Error() string { panic(0) }": "",
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "x.go", "package x; import \"netserver/internal/hidden\"; var _ hidden.T; "+text, 0)
		if err != nil {
			t.Fatal(err)
		}
		p, err := (&types.Config{Importer: importOne{hidden}}).Check("netserver/x", fset, []*ast.File{file}, nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		bad := checkFace("netserver", p)
		if want == "" && len(bad) > 0 || want != "" && !slices.Contains(bad, "netserver/x."+want+" shows netserver/internal/hidden.T") {
			t.Errorf("%s: got %q, want %q", text, bad, want)
		}
	}
}

type importOne struct{ p *types.Package }

func (i importOne) Import(string) (*types.Package, error) { return i.p, nil }
