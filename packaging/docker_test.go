//go:build linux

package main

import (
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"netserver/netservertest"
)

// ignored reads .dockerignore, as far as it goes.
func ignored(t *testing.T) func(rel string) bool {
	t.Helper()
	b, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			patterns = append(patterns, strings.TrimPrefix(line, "/"))
		}
	}
	if len(patterns) < 5 {
		t.Fatalf("only %q", patterns)
	}
	return func(rel string) bool {
		for _, p := range patterns {
			name := rel
			if rest, ok := strings.CutPrefix(p, "**/"); ok {
				p, name = rest, filepath.Base(rel)
			}
			if ok, _ := filepath.Match(p, name); ok {
				return true
			}
		}
		return false
	}
}

// buildContext copies what docker build would send.
func buildContext(t *testing.T) string {
	t.Helper()
	dir, skip := t.TempDir(), ignored(t)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", path)
		switch {
		case err != nil:
			return err
		case skip(rel) && d.IsDir():
			return fs.SkipDir
		case skip(rel):
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// recipe returns the build command of the Dockerfile and its environment.
func recipe(t *testing.T) (command string, env []string) {
	t.Helper()
	b, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	_, command, ok := strings.Cut(text, "    go build ")
	command, _, _ = strings.Cut(command, "\n")
	m := regexp.MustCompile(`(?m)^ENV (.*)$`).FindStringSubmatch(text)
	if !ok || m == nil {
		t.Fatal("no build in the Dockerfile")
	}
	for kv := range strings.FieldsSeq(m[1]) {
		if !strings.Contains(kv, "$") && !strings.HasPrefix(kv, "GOCACHE=") { // an ARG, and a mount
			env = append(env, kv)
		}
	}
	return "go build " + command, env
}

// The Dockerfile's build needs no network, with vendored modules or with those
// of a cache, and makes a static program.
func TestDockerBuildsOffline(t *testing.T) {
	goEnv := func(name string) string {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	command, env := recipe(t)
	for name, vendored := range map[string]bool{"vendored": true, "cached": false} {
		t.Run(name, func(t *testing.T) {
			dir, out := buildContext(t), filepath.Join(t.TempDir(), "netserver")
			proxy := "file://" + goEnv("GOMODCACHE") + "/cache/download"
			if vendored {
				cmd := exec.Command("go", "mod", "vendor")
				cmd.Dir = dir
				if b, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("go mod vendor: %v\n%s", err, b)
				}
				proxy = "off"
			}
			cmd := exec.Command("sh", "-c", strings.Replace(command, "-o /netserver", "-o "+out, 1))
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), env...)
			cmd.Env = append(cmd.Env, "GOPROXY="+proxy, "GOFLAGS=-modcacherw", "GOMODCACHE="+t.TempDir(), "VERSION=1.2.3", "COMMIT=0123456789abcdef", "DATE=2026-11-29T06:42:56Z")
			if b, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, b)
			}
			static(t, out)
			if b, err := exec.Command(out, "--version").Output(); string(b) != "netserver 1.2.3 (commit 0123456789ab of 2026-11-29T06:42:56Z)\n" {
				t.Errorf("--version: %q, %v", b, err)
			}
		})
	}
}

func static(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libs, err := f.ImportedLibraries()
	if err != nil || len(libs) > 0 {
		t.Errorf("it needs %q, %v", libs, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs a dynamic loader")
		}
	}
}

// The image: the program in an empty root directory, as a user that has no
// name there, with a configuration that was mounted.
func TestImage(t *testing.T) {
	rooted(t)
	root := t.TempDir()
	program, err := os.ReadFile(command(t))
	if err != nil {
		t.Fatal(err)
	}
	addr := "127.0.0.1:" + netservertest.FreePort(t)
	conf := "# as mounted\nport " + addr + "/tcp\ngrace 5\n"
	if err := errors.Join(
		os.Chmod(root, 0o755), os.Chmod(filepath.Dir(root), 0o755),
		os.WriteFile(filepath.Join(root, "netserver"), program, 0o755),
		os.MkdirAll(filepath.Join(root, "etc/netserver"), 0o755), os.Mkdir(filepath.Join(root, "proc"), 0o755),
		os.WriteFile(filepath.Join(root, "etc/netserver/server.conf"), []byte(conf), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, uid uint32, args ...string) *exec.Cmd {
		cmd := exec.Command("/netserver", append([]string{"--conf_file", "/etc/netserver/server.conf"}, args...)...)
		cmd.Dir, cmd.Env = "/", []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		return cmd
	}
	t.Run("one process", func(t *testing.T) { launch(t, start(t, 65532, "--supervisor", "0"), addr) })
	t.Run("root without names", func(t *testing.T) {
		out, err := start(t, 0, "--supervisor", "1").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "user") || !strings.Contains(string(out), "nobody") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	// What every container has.
	null := filepath.Join(root, "dev", "null")
	if err := errors.Join(os.Mkdir(filepath.Dir(null), 0o755), syscall.Mknod(null, syscall.S_IFCHR|0o666, 1<<8|3), os.Chmod(null, 0o666)); err != nil {
		t.Skipf("cannot make /dev/null there: %v", err)
	}
	if err := syscall.Mount("/proc", filepath.Join(root, "proc"), "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		t.Skipf("cannot mount /proc there: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(filepath.Join(root, "proc"), syscall.MNT_DETACH) })
	t.Run("supervisor", func(t *testing.T) {
		cmd := start(t, 65532, "--supervisor", "1")
		log := launch(t, cmd, addr)
		cmd.Process.Signal(syscall.SIGHUP)
		netservertest.Eventually(t, "a restart", func() bool { return strings.Contains(log.String(), "restart:") })
		if err := speak(addr); err != nil {
			t.Error(err)
		}
	})
	t.Run("root with a numeric user", func(t *testing.T) { launch(t, start(t, 0, "--user", "65532", "--group", "65532"), addr) })
}

// Only the lines that name an image may make docker fetch something, and every
// instruction is one that is there.
func TestDockerfile(t *testing.T) {
	f, err := os.Open("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(string(b), "")
	text = strings.ReplaceAll(text, "\\\n", "")
	var froms []string
	user := ""
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "FROM":
			froms = append(froms, rest)
		case "USER":
			user = rest
		case "", "COPY", "WORKDIR", "ARG", "ENV", "RUN", "LABEL", "STOPSIGNAL", "ENTRYPOINT":
		default:
			t.Errorf("unexpected: %s", line)
		}
	}
	if want := "scratch AS modules, golang:1.26-bookworm AS build, scratch"; strings.Join(froms, ", ") != want {
		t.Errorf("FROM %s", strings.Join(froms, ", "))
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER %s must be numbers: the image has no names", user)
	}
}
