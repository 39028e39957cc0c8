package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// allSystems are those that an empty -systems means.
const allSystems = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,freebsd/amd64,freebsd/arm64,windows/amd64,windows/arm64"

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("go run ./packaging release", flag.ContinueOnError)
	out := fs.String("o", "dist", "the `directory` for what is built; what is in it already stays")
	systems := fs.String("systems", allSystems, "`GOOS/GOARCH`, separated by commas")
	var s source
	fs.StringVar(&s.Version, "version", "", "the `version`, as 1.2.3 or 1.2.3-rc.1 (default: the tag of the commit, or one made of its date and hash)")
	fs.StringVar(&s.Commit, "commit", "", "the full `hash` of the commit, where git cannot tell; its time is then SOURCE_DATE_EPOCH")
	fs.StringVar(&s.Maintainer, "maintainer", "netserver maintainers <maintainers@netserver.invalid>", "`NAME <ADDRESS>` for whoever publishes the packages")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected %q", fs.Args())
	}
	if err := s.find(); err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "netserver-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	r := &release{source: s, out: *out, tmp: tmp}
	for system := range strings.SplitSeq(*systems, ",") {
		if err := r.system(system); err != nil {
			return fmt.Errorf("%s: %w", system, err)
		}
	}
	if err := r.sums(); err != nil {
		return err
	}
	for _, name := range r.made {
		fmt.Fprintln(stdout, filepath.Join(r.out, name))
	}
	return nil
}

// A release is what is being built.
type release struct {
	source
	out  string   // the directory for it
	tmp  string   // for what is not published
	made []string // names in out
}

// system builds all that is published for one system.
func (r *release) system(name string) error {
	goos, goarch, ok := strings.Cut(name, "/")
	if !ok || goos == "" || goarch == "" {
		return errors.New("write GOOS/GOARCH, such as linux/amd64")
	}
	p := &product{release: r, goos: goos, goarch: goarch}
	for _, step := range []func() error{p.build, p.describe, p.archive, p.packages} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// create makes a file in the directory of what is published.
func (r *release) create(name string, write func(io.Writer) error) error {
	r.made = append(r.made, name)
	return writeFile(filepath.Join(r.out, name), write)
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// sums writes the checksums of what was made, as sha256sum -c reads them.
func (r *release) sums() error {
	slices.Sort(r.made)
	var text strings.Builder
	for _, name := range r.made {
		b, err := os.ReadFile(filepath.Join(r.out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(b), name)
	}
	return r.create("SHA256SUMS", func(w io.Writer) error {
		_, err := io.WriteString(w, text.String())
		return err
	})
}
