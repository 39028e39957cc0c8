package main

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// write returns a function that writes b.
func write(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

// notices returns the licences of the modules in a program, which most of them
// want to be passed on with it, and Go's.
func notices(info *buildinfo.BuildInfo) ([]byte, error) {
	var text bytes.Buffer
	goroot, err := goOutput("env", "GOROOT")
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&text, "netserver contains the following, each under its own licence.\n")
	if err := notice(&text, "Go's standard library, "+info.GoVersion, strings.TrimSpace(goroot)); err != nil {
		return nil, err
	}
	deps := slices.SortedFunc(slices.Values(info.Deps), func(a, b *debug.Module) int { return cmp.Compare(a.Path, b.Path) })
	for _, dep := range deps {
		// Offline if the module is in the cache, as it is after the build.
		dir, err := goOutput("list", "-mod=readonly", "-m", "-f", "{{.Dir}}", dep.Path)
		if err != nil {
			return nil, err
		}
		if err := notice(&text, dep.Path+" "+dep.Version, strings.TrimSpace(dir)); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}

// notice writes the licence files of a module. One that has none is an error:
// it could not be passed on.
func notice(text *bytes.Buffer, title, dir string) error {
	var files []string
	for _, pattern := range []string{"LICEN[CS]E*", "COPYING*", "NOTICE*", "Licen[cs]e*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		// Some distributions keep Go's elsewhere.
		if goLicence, err := filepath.Glob(filepath.Join(dir, "..", "LICENSE")); err == nil {
			files = goLicence
		}
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no licence in %s", title, dir)
	}
	fmt.Fprintf(text, "\n%s\n%s\n\n", title, strings.Repeat("=", len(title)))
	var all error
	for _, name := range files {
		b, err := os.ReadFile(name)
		all = errors.Join(all, err)
		text.Write(bytes.TrimSpace(b))
		text.WriteString("\n")
	}
	return all
}

func goOutput(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, strings.TrimSpace(problem.String()))
	}
	return string(out), nil
}
