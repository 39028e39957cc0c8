// Command rename gives the module the path under which it is published: in
// go.mod, in every import, in the Dockerfile, and in what the pages tell readers
// to import.
//
//	go run ./packaging/rename github.com/somebody/netserver
//
// Run it at the root of a clone, once, before the first tag; it can be run again
// with another path.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run ./packaging/rename MODULE-PATH")
	}
	if err := rename(".", os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// rename changes the path of the module in dir.
func rename(dir, to string) error {
	if to == "" || strings.ContainsAny(to, " \t\"`\\") || strings.HasSuffix(to, "/") {
		return fmt.Errorf("%q is no module path", to)
	}
	mod := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(mod)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	from, ok := strings.CutPrefix(strings.TrimSpace(line), "module ")
	if !ok {
		return errors.New("go.mod does not begin with the module's path")
	}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "vendor"):
			return filepath.SkipDir
		case !d.Type().IsRegular() || p == mod:
			return nil
		case d.Name() == "go.mod", d.Name() == "Dockerfile": // go.mod of a module that takes this one from its folder
			return page(p, from, to)
		}
		switch filepath.Ext(p) {
		case ".go":
			return imports(p, from, to)
		case ".md":
			return page(p, from, to)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Last, so that after an error it can be run again.
	return write(mod, text, []byte(strings.Replace(string(text), line, "module "+to, 1)))
}

// imports changes the imports of a Go file.
func imports(name, from, to string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	out := text
	for i := len(f.Imports) - 1; i >= 0; i-- { // from the end, so that offsets hold
		lit := f.Imports[i].Path
		p, err := strconv.Unquote(lit.Value)
		if err != nil {
			return err
		}
		rest, ok := strings.CutPrefix(p, from)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		at := int(lit.Pos()) - int(f.FileStart)
		out = append(append(bytes.Clone(out[:at]), strconv.Quote(to+rest)...), out[at+len(lit.Value):]...)
	}
	if !bytes.Equal(out, text) {
		out = bytes.ReplaceAll(out, []byte("-X "+from+"/"), []byte("-X "+to+"/"))
		if out, err = format.Source(out); err != nil { // sorts the imports
			return err
		}
	}
	return write(name, text, out)
}

// page changes what a page tells readers to import, replace, look up and set,
// and what a go.mod requires and replaces.
func page(name, from, to string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	r := strings.NewReplacer(
		`import "`+from+`"`, `import "`+to+`"`,
		"\t\""+from+"\"\n", "\t\""+to+"\"\n",
		`"`+from+`/`, `"`+to+`/`,
		"-X "+from+"/", "-X "+to+"/",
		"module "+from+"/", "module "+to+"/",
		"require "+from+" ", "require "+to+" ",
		"replace "+from+" ", "replace "+to+" ",
		"-replace "+from+"=", "-replace "+to+"=",
		"go doc "+from, "go doc "+to,
	)
	return write(name, text, []byte(formatted(r.Replace(string(text)))))
}

const fence = "```"

// formatted returns a page with the Go programs in it formatted as gofmt does,
// which sorts their imports.
func formatted(page string) string {
	parts := strings.Split(page, "\n"+fence)
	for i, part := range parts {
		code, ok := strings.CutPrefix(part, "go\n")
		if !ok {
			continue
		}
		if out, err := format.Source([]byte(code + "\n")); err == nil { // else it is a part of a program
			parts[i] = "go\n" + strings.TrimSuffix(string(out), "\n")
		}
	}
	return strings.Join(parts, "\n"+fence)
}

func write(name string, old, text []byte) error {
	if bytes.Equal(old, text) {
		return nil
	}
	return os.WriteFile(name, text, 0o644)
}
