package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A source is the tree that is built, which is the current directory.
type source struct {
	Module     string // the module's path, which packaging/rename changes
	Version    string // without a v before it
	Commit     string // empty if unknown
	Maintainer string
	Date       time.Time // of the commit, or SOURCE_DATE_EPOCH: the time of all files
}

var semver = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// find fills what is empty, from the environment and from git.
func (s *source) find() error {
	if err := s.findModule(); err != nil {
		return err
	}
	var when time.Time
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		n, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("SOURCE_DATE_EPOCH: %q is no number of seconds", epoch)
		}
		when = time.Unix(n, 0).UTC()
	}
	changed := false
	if s.Commit == "" && (s.Version == "" || when.IsZero()) {
		var err error
		if changed, err = s.ask(); err != nil {
			return fmt.Errorf("%w; where git cannot tell, give -version, -commit and SOURCE_DATE_EPOCH", err)
		}
	}
	if !when.IsZero() {
		s.Date = when
	}
	if s.Date.IsZero() {
		return errors.New("the commit's time is unknown: set SOURCE_DATE_EPOCH")
	}
	s.Version = strings.TrimPrefix(s.Version, "v")
	if s.Version == "" && s.Commit == "" {
		return errors.New("the version is unknown: give -version")
	}
	if s.Version == "" {
		s.Version = "0.0.0-" + s.Date.Format("20060102150405") + "." + s.Commit[:min(12, len(s.Commit))]
		if changed {
			s.Version += "+changes"
		}
	}
	if !semver.MatchString(s.Version) {
		return fmt.Errorf("%q is no version such as 1.2.3 or 1.2.3-rc.1", s.Version)
	}
	if !regexp.MustCompile(`^[0-9a-f]*$`).MatchString(s.Commit) {
		return fmt.Errorf("%q is no hash of a commit", s.Commit)
	}
	return nil
}

func (s *source) findModule() error {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		return fmt.Errorf("run it from the top of the source tree: %w", err)
	}
	line, _, _ := strings.Cut(string(mod), "\n")
	var ok bool
	if s.Module, ok = strings.CutPrefix(strings.TrimSpace(line), "module "); !ok {
		return errors.New("go.mod does not begin with the module's path")
	}
	return nil
}

// ask has git tell the commit, its time and, if there is a tag, the version. It
// reports whether the tree has changes, which a tag does not stand for.
func (s *source) ask() (changed bool, err error) {
	out, err := git("log", "-1", "--format=%H %ct")
	if err != nil {
		return false, err
	}
	hash, seconds, _ := strings.Cut(out, " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return false, fmt.Errorf("git log: %q", out)
	}
	s.Commit, s.Date = hash, time.Unix(n, 0).UTC()
	status, err := git("status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return false, err
	}
	if changed = status != ""; s.Version == "" && !changed {
		if tag, err := git("describe", "--tags", "--exact-match", "--match", "v[0-9]*"); err == nil {
			s.Version = tag
		}
	}
	return changed, nil
}

func git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(problem.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
