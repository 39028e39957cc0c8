package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A call is what the source says of an event.
type call struct {
	levels, fields []string
	at             token.Position
}

// others are folders that log nothing of a server, or are no part of it.
var others = []string{"bench", "contrib", "docs", "examples", "netservertest", "packaging", "cmd", "internal/events"}

// levels are what the methods of a slog.Logger log with.
var levels = map[string]string{"Debug": "debug", "Info": "info", "Warn": "warning", "Error": "error"}

// wrappers are functions that log their argument: which one it is, and their level if they
// have but one.
var wrappers = map[string]struct {
	in      string // package; "" is each
	message int
	level   string
}{
	"logging.Notice": {"", 1, "notice"},
	"logging.Error":  {"", 1, "error"},
	"b.log":          {"proxy", 1, ""},
	"p.failed":       {"exec", 0, "warning"},
	"r.logRefused":   {"netserver", 1, "notice"},
	"s.logFinal":     {"tlsparams", 0, "error"},
	"n.notice":       {"cluster", 0, "notice"},
}

// handsOn are the functions of wrappers, which log what they are given.
var handsOn = map[string]bool{"Notice": true, "Error": true, "log": true, "failed": true, "logRefused": true, "logFinal": true, "notice": true}

// An extractor collects the events of a file.
type extractor struct {
	root  string
	fset  *token.FileSet
	calls map[string]*call
	texts map[string]bool // files that log what others have written
	pkg   string
	fn    *ast.FuncDecl
}

// scan returns the events of the source, by message, and the files that log texts
// which are made elsewhere.
func scan(t testing.TB, root string) (calls map[string]*call, texts map[string]bool) {
	x := &extractor{root: root, fset: token.NewFileSet(), calls: make(map[string]*call), texts: make(map[string]bool)}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (slices.Contains(others, rel) || rel != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(x.fset, path, nil, 0)
		if err != nil {
			return err
		}
		x.file(f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return x.calls, x.texts
}

func (x *extractor) file(f *ast.File) {
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		x.fn, x.pkg = fn, f.Name.Name
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				x.call(c)
			}
			return true
		})
	}
}

// notLogs are what has methods of the same names.
var notLogs = regexp.MustCompile(`^(http|math|tls|t|errors|stream)$`)

func (x *extractor) call(c *ast.CallExpr) {
	var name, on string
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		name, on = f.Sel.Name, text(f.X)
	case *ast.Ident:
		name, on = f.Name, x.pkg
	default:
		return
	}
	w, ok := wrappers[on+"."+name]
	switch {
	case notLogs.MatchString(on):
	case ok && (w.in == "" || w.in == x.pkg) && len(c.Args) > w.message:
		level := w.level
		if level == "" {
			level = levelOf(c.Args[0])
		}
		x.event(c, c.Args[w.message], []string{level}, c.Args[w.message+1:])
	case name == "Log" && len(c.Args) >= 3, name == "LogAttrs" && len(c.Args) >= 3:
		x.event(c, c.Args[2], x.values(c.Args[1], levelOf), c.Args[3:])
	case on == "slog" && name == "NewRecord" && len(c.Args) == 4 && message(c.Args[2]) != "": // others hand on
		x.event(c, c.Args[2], x.values(c.Args[1], levelOf), nil)
	case levels[name] != "" && len(c.Args) > 0:
		x.event(c, c.Args[0], []string{levels[name]}, c.Args[1:])
	}
}

// text returns the source of a selector's base.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// levelOf returns the level that an expression names.
func levelOf(e ast.Expr) string {
	name := ""
	switch e := e.(type) {
	case *ast.SelectorExpr:
		name = e.Sel.Name
	}
	switch name {
	case "Notice":
		return "notice"
	case "LevelDebug", "LevelInfo", "LevelWarn", "LevelError":
		return levels[strings.TrimPrefix(name, "Level")]
	}
	return ""
}

// values returns what an expression can be: what of says of it, or, of a
// variable, of all that the function assigns to it.
func (x *extractor) values(e ast.Expr, of func(ast.Expr) string) (list []string) {
	if s := of(e); s != "" {
		return []string{s}
	}
	id, ok := e.(*ast.Ident)
	if !ok {
		return nil
	}
	ast.Inspect(x.fn.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.ADD_ASSIGN {
				return true
			}
			for i, l := range n.Lhs {
				if v, ok := l.(*ast.Ident); ok && v.Name == id.Name && len(n.Rhs) == len(n.Lhs) {
					if s := of(n.Rhs[i]); s != "" && !slices.Contains(list, s) {
						list = append(list, s)
					}
				}
			}
		}
		return true
	})
	return list
}

// event notes a call, if its message is known: an error or a text of others is not.
func (x *extractor) event(c *ast.CallExpr, msg ast.Expr, levels []string, args []ast.Expr) {
	list := x.values(msg, message)
	if len(list) == 0 && !handsOn[x.fn.Name.Name] {
		file, _ := filepath.Rel(x.root, x.fset.Position(c.Pos()).Filename)
		x.texts[filepath.ToSlash(file)] = true
	}
	for _, m := range list {
		if strings.Trim(m, " :;…") == "" {
			continue
		}
		e := x.calls[m]
		if e == nil {
			e = &call{at: x.fset.Position(c.Pos())}
			x.calls[m] = e
		}
		add := func(list *[]string, s string) {
			if s != "" && !slices.Contains(*list, s) {
				*list = append(*list, s)
			}
		}
		for _, l := range levels {
			add(&e.levels, l)
		}
		for _, f := range fieldsOf(args) {
			add(&e.fields, f)
		}
	}
}

var verb = regexp.MustCompile(`%[-+#.\d]*[a-zA-Z]`)

// message returns a message as the table has it: with … for what differs. It is
// empty if nothing is known of it.
func message(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "Sprintf" || s.Sel.Name == "Errorf") {
			return verb.ReplaceAllString(message(e.Args[0]), "…")
		}
	case *ast.BinaryExpr:
		l, r := message(e.X), message(e.Y)
		if l == "" && r == "" {
			return ""
		}
		if l == "" {
			l = "…"
		}
		if r == "" {
			r = "…"
		}
		return strings.ReplaceAll(l+r, "……", "…")
	}
	return ""
}

// fieldsOf returns the names of attributes.
func fieldsOf(args []ast.Expr) (names []string) {
	for i := 0; i < len(args); i++ {
		switch a := args[i].(type) {
		case *ast.BasicLit:
			if s, err := strconv.Unquote(a.Value); err == nil {
				names = append(names, s)
				i++ // its value
			}
		case *ast.CallExpr:
			if s, ok := a.Fun.(*ast.SelectorExpr); ok && text(s.X) == "slog" && len(a.Args) > 0 {
				if n := message(a.Args[0]); n != "" {
					names = append(names, n)
				}
			}
		}
	}
	return names
}
