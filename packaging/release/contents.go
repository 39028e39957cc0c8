package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goreleaser/nfpm/v2/files"
)

const (
	docs     = "/usr/share/doc/netserver/"
	units    = "/usr/lib/systemd/system/"
	examples = docs + "examples/"
)

// installed are the files of the source tree that packages bring along as they
// are, and where to; patterns go into a folder.
var installed = []struct{ from, to, only string }{
	{"packaging/completions/netserver.bash", "/usr/share/bash-completion/completions/netserver", ""},
	{"packaging/completions/_netserver", "/usr/share/zsh/vendor-completions/_netserver", deb},
	{"packaging/completions/_netserver", "/usr/share/zsh/site-functions/_netserver", rpm},
	{"packaging/completions/netserver.fish", "/usr/share/fish/vendor_completions.d/netserver.fish", ""},
	{"packaging/etc/sysusers.conf", "/usr/lib/sysusers.d/netserver.conf", ""},
	{"packaging/etc/tmpfiles.conf", "/usr/lib/tmpfiles.d/netserver.conf", ""},
	{"docs/*.md", docs + "docs/", ""},
	{"docs/*.json", docs + "docs/", ""},
	{"docs/page/*.png", docs + "docs/page/", ""},
	{"docs/measurements/*", docs + "docs/measurements/", ""},
	{"README.md", docs, ""},
	{"SECURITY.md", docs, ""},
	{"packaging/examples/*", examples, ""},
	{"packaging/kubernetes/*", examples + "kubernetes/", ""},
	{"packaging/prometheus/*", examples + "prometheus/", ""},
	{"packaging/grafana/*", examples + "grafana/", ""},
}

// configuration are files that the administrator changes.
var configuration = []struct{ from, to string }{
	{"packaging/etc/server.conf", "/etc/netserver/server.conf"},
	{"packaging/etc/logrotate", "/etc/logrotate.d/netserver"},
}

// A stage is a folder of files that packages have and the source tree has not.
type stage struct {
	*product
	dir      string
	contents files.Contents
}

// contents lists the files of packages.
func (p *product) contents() (files.Contents, error) {
	s := &stage{product: p, dir: filepath.Join(p.tmp, p.name())}
	if err := s.add(p.program, "/usr/bin/netserver", "", 0o755); err != nil {
		return nil, err
	}
	for _, f := range installed {
		found, err := filepath.Glob(filepath.FromSlash(f.from))
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("no %s: %v", f.from, err)
		}
		for _, name := range found {
			to := f.to
			if strings.HasSuffix(to, "/") {
				to += filepath.Base(name)
			}
			if err := s.add(name, to, f.only, 0o644); err != nil {
				return nil, err
			}
		}
	}
	for _, step := range []func() error{s.configuration, s.units, s.manual, s.papers} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	s.folders()
	return s.contents, nil
}

// folders has packages for rpm own the folders that nobody else has files in:
// those that no package owns stay when it is removed. dpkg removes them itself.
func (s *stage) folders() {
	seen := make(map[string]bool)
	for _, c := range slices.Clone(s.contents) {
		if c.Packager == deb {
			continue
		}
		for dir := path.Dir(c.Destination); strings.Contains(dir, "/netserver") && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			s.contents = append(s.contents, &files.Content{
				Destination: dir, Type: files.TypeDir, Packager: rpm,
				FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: 0o755, MTime: s.Date},
			})
		}
	}
}

// add puts a file into the packages, or into those of one format.
func (s *stage) add(from, to, only string, mode os.FileMode) error {
	s.contents = append(s.contents, &files.Content{
		Source: from, Destination: to, Type: files.TypeFile, Packager: only,
		FileInfo: &files.ContentFileInfo{Owner: "root", Group: "root", Mode: mode, MTime: s.Date},
	})
	return nil
}

// make adds a file that is written now.
func (s *stage) make(to, only string, write func(io.Writer) error) error {
	name := filepath.Join(s.dir, fmt.Sprint(len(s.contents))+"-"+filepath.Base(to))
	if err := writeFile(name, write); err != nil {
		return err
	}
	return s.add(name, to, only, 0o644)
}

func (s *stage) configuration() error {
	for _, f := range configuration {
		if err := s.add(f.from, f.to, "", 0o644); err != nil {
			return err
		}
		s.contents[len(s.contents)-1].Type = files.TypeConfigNoReplace
	}
	return nil
}

// units adds those of the server, and as examples those of ports that systemd
// opens, which would wait for clients if they were enabled.
func (s *stage) units() error {
	for _, pattern := range []string{"packaging/*.service", "packaging/*.socket"} {
		found, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil || len(found) == 0 {
			return fmt.Errorf("no %s: %v", pattern, err)
		}
		for _, name := range found {
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			b = bytes.ReplaceAll(b, []byte("/usr/local/bin/netserver"), []byte("/usr/bin/netserver"))
			to := units
			if strings.Contains(name, "inet") || strings.HasSuffix(name, ".socket") {
				to = examples + "systemd/"
			}
			if err := s.make(to+filepath.Base(name), "", write(b)); err != nil {
				return err
			}
		}
	}
	return nil
}

// manual adds the manual page and the list of changes, as Debian has them:
// compressed.
func (s *stage) manual() error {
	for from, to := range map[string]string{
		"packaging/netserver.8": "/usr/share/man/man8/netserver.8.gz",
		"CHANGELOG.md":          docs + "changelog.gz",
	} {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := s.make(to, "", func(w io.Writer) error { return compressed(w, b) }); err != nil {
			return err
		}
	}
	return nil
}

// papers adds the licence, those of what is in the program, the bill of
// materials, and Debian's list of its package's versions.
func (s *stage) papers() error {
	for _, f := range []struct{ from, to, only string }{
		{"packaging/debian/copyright", docs + "copyright", deb},
		{"packaging/debian/lintian-overrides", "/usr/share/lintian/overrides/netserver", deb},
		{"LICENSE", "/usr/share/licenses/netserver/LICENSE", rpm},
	} {
		if err := s.add(f.from, f.to, f.only, 0o644); err != nil {
			return err
		}
	}
	for to, only := range map[string]string{docs: deb, "/usr/share/licenses/netserver/": rpm} {
		if err := s.make(to+"THIRD-PARTY.txt", only, write(s.notices)); err != nil {
			return err
		}
	}
	if err := s.make(docs+"netserver.cdx.json", "", write(s.sbom)); err != nil {
		return err
	}
	changes := fmt.Sprintf("netserver (%s) unstable; urgency=medium\n\n  * Version %s; see changelog.gz.\n\n -- %s  %s\n",
		s.debianVersion(), s.Version, s.Maintainer, s.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	return s.make(docs+"changelog.Debian.gz", deb, func(w io.Writer) error { return compressed(w, []byte(changes)) })
}
