//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"netserver/netservertest"
)

const (
	releaseCommit = "0123456789abcdef0123456789abcdef01234567"
	releaseEpoch  = "1764398576" // 2025-11-29T06:42:56Z
)

// releaseFor builds a release in a source tree.
func releaseFor(root, out, version string, env ...string) error {
	cmd := exec.Command("go", "run", "./packaging", "release", "-o", out, "-version", version, "-commit", releaseCommit,
		"-systems", "linux/"+runtime.GOARCH)
	cmd.Dir = root
	cmd.Env = append(append(os.Environ(), "SOURCE_DATE_EPOCH="+releaseEpoch), env...)
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go run ./packaging release: %w\n%s", err, b)
	}
	return nil
}

// releaseDir returns the directory with release 1.2.3. A test is skipped where
// the modules of nfpm are not in the cache, and cannot be fetched.
func releaseDir(t *testing.T) string {
	t.Helper()
	if raceEnabled {
		t.Skip("the programs are other ones, without the race detector")
	}
	published.once.Do(func() {
		if published.dir, published.err = os.MkdirTemp("", "netserver-release-"); published.err == nil {
			published.err = releaseFor("..", published.dir, "1.2.3")
		}
	})
	if published.err != nil {
		list := exec.Command("go", "-C", "release", "list", "-deps", ".")
		list.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
		if os.Getenv("CI") != "true" && list.Run() != nil {
			t.Skipf("modules of packaging/release cannot be had: %v", published.err)
		}
		t.Fatal(published.err)
	}
	return published.dir
}

// one returns the only file of the release that fits a pattern.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(releaseDir(t), pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return found[0]
}

// read returns the content of the files below dir, by name.
func read(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = b
	}
	return all
}

func TestReleaseIsComplete(t *testing.T) {
	files, arch := read(t, releaseDir(t)), runtime.GOARCH
	names := slices.Sorted(maps.Keys(files))
	rpmArch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch]
	want := []string{
		"SHA256SUMS", "netserver-1.2.3-1." + rpmArch + ".rpm", "netserver_1.2.3-1_" + arch + ".deb",
		"netserver_1.2.3_linux_" + arch + ".cdx.json", "netserver_1.2.3_linux_" + arch + ".tar.gz",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	sums := ""
	for _, name := range names[1:] {
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256(files[name]), name)
	}
	if string(files["SHA256SUMS"]) != sums {
		t.Errorf("SHA256SUMS:\n%s\nwant:\n%s", files["SHA256SUMS"], sums)
	}
}

// The same source makes the same bytes, whatever its directory, the time, the
// time zone and the umask; and nothing is fetched for it.
func TestReleaseIsReproducible(t *testing.T) {
	first := read(t, releaseDir(t))
	root := t.TempDir()
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel("..", p)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || rel == "dist"):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(root, rel), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(root, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if err := releaseFor(root, out, "v1.2.3", "TZ=Asia/Kolkata", "GOPROXY=off", "LC_ALL=C", "GOFLAGS=-trimpath"); err != nil {
		t.Fatal(err)
	}
	for name, b := range read(t, out) {
		if !bytes.Equal(b, first[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

// unpacked is what an archive has, by name, without the folder above all.
func unpacked(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		all[name] = b
	}
}

// What the archive has is one static program that says which it is, its bill of
// materials, and the licences of all that is in it.
func TestReleaseArchive(t *testing.T) {
	files := unpacked(t, one(t, "*.tar.gz"))
	program := filepath.Join(t.TempDir(), "netserver")
	if err := os.WriteFile(program, files["netserver"], 0o755); err != nil {
		t.Fatal(err)
	}
	static(t, program)
	out, err := exec.Command(program, "--version").Output()
	if want := "netserver 1.2.3 (commit 0123456789ab of 2025-11-29T06:42:56Z)\n"; err != nil || string(out) != want {
		t.Errorf("--version: %q, %v; want %q", out, err, want)
	}
	var bill struct {
		BOMFormat, SpecVersion, SerialNumber string
		Metadata                             struct {
			Timestamp string
			Component struct {
				Version string
				Hashes  []struct{ Alg, Content string }
			}
		}
		Components   []struct{ Name, Version, Purl string }
		Dependencies []struct {
			Ref       string
			DependsOn []string
		}
	}
	if err := json.Unmarshal(files["netserver.cdx.json"], &bill); err != nil {
		t.Fatal(err)
	}
	if own := bill.Metadata.Component; bill.BOMFormat != "CycloneDX" || bill.SpecVersion != "1.6" || bill.Metadata.Timestamp != "2025-11-29T06:42:56Z" ||
		own.Version != "1.2.3" || len(own.Hashes) != 1 || own.Hashes[0].Content != fmt.Sprintf("%x", sha256.Sum256(files["netserver"])) {
		t.Errorf("%+v", bill)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil || len(info.Deps) < 3 {
		t.Fatalf("%v, %v", info, err)
	}
	want := []string{"std " + strings.TrimPrefix(info.GoVersion, "go")}
	for _, dep := range info.Deps {
		want = append(want, dep.Path+" "+dep.Version)
		if !bytes.Contains(files["THIRD-PARTY.txt"], []byte("\n"+dep.Path+" "+dep.Version+"\n=")) {
			t.Errorf("THIRD-PARTY.txt has no licence of %s", dep.Path)
		}
	}
	var have []string
	for _, c := range bill.Components {
		have = append(have, c.Name+" "+c.Version)
	}
	if !slices.Equal(have, want) || len(bill.Dependencies) != len(want)+1 || len(bill.Dependencies[0].DependsOn) != len(want) {
		t.Errorf("components %q, want %q; dependencies %v", have, want, bill.Dependencies)
	}
	pictures := regexp.MustCompile(`!\[[^]]*\]\(([^)]+)\)`)
	for name, text := range files { // pages find their pictures
		for _, m := range pictures.FindAllSubmatch(text, -1) {
			if to := path.Join(path.Dir(name), string(m[1])); strings.HasSuffix(name, ".md") && len(files[to]) == 0 {
				t.Errorf("%s: no %s", name, to)
			}
		}
	}
	for _, name := range []string{"LICENSE", "README.md", "docs/INSTALL.md", "docs/page/overview.png", "docs/status.schema.json", "docs/measurements/compare.svg", "man/netserver.8", "completions/_netserver", "systemd/netserver.service", "examples/sni.toml"} {
		if len(files[name]) == 0 {
			t.Errorf("no %s", name)
		}
	}
}

func TestReleaseDebIsClean(t *testing.T) {
	lintian := netservertest.Peer(t, "lintian")
	out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", one(t, "*.deb")).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

func TestReleaseRPM(t *testing.T) {
	rpm, file := netservertest.Peer(t, "rpm"), one(t, "*.rpm")
	query := func(args ...string) string {
		out, err := exec.Command(rpm, append(args, file)...).Output() // standard error is about Debian's use of rpm
		if err != nil {
			t.Fatalf("rpm %v: %v", args, err)
		}
		return string(out)
	}
	files := strings.Fields(query("-qpl"))
	for _, want := range []string{
		"/usr/bin/netserver", "/usr/lib/systemd/system/netserver.service", "/usr/share/man/man8/netserver.8.gz",
		"/usr/share/zsh/site-functions/_netserver", "/usr/share/licenses/netserver/LICENSE", "/usr/lib/sysusers.d/netserver.conf",
		"/usr/share/doc/netserver/docs/page/overview.png", "/usr/share/doc/netserver/docs/status.schema.json",
	} {
		if !slices.Contains(files, want) {
			t.Errorf("no %s in %q", want, files)
		}
	}
	for _, file := range files { // what nobody owns stays when the package is removed
		if dir := path.Dir(file); strings.Contains(dir, "/netserver") && !slices.Contains(files, dir) {
			t.Errorf("%s is in no package", dir)
		}
	}
	if have, want := query("-qpc"), "/etc/logrotate.d/netserver\n/etc/netserver/server.conf\n"; have != want {
		t.Errorf("configuration files %q, want %q", have, want)
	}
	if have, want := query("-qp", "--qf", "%{name} %{version}-%{release} %{license} %{buildhost} %{buildtime}"), "netserver 1.2.3-1 Apache-2.0 localhost "+releaseEpoch; have != want {
		t.Errorf("%q, want %q", have, want)
	}
	if out, err := exec.Command(rpm, "-K", "--nosignature", file).CombinedOutput(); err != nil {
		t.Errorf("rpm -K: %v\n%s", err, out)
	}
}

// Versions sort as they should, and what is none is refused.
func TestReleaseRefuses(t *testing.T) {
	releaseDir(t) // or skip
	tool := filepath.Join(t.TempDir(), "release")
	if out, err := exec.Command("go", "-C", "release", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, tt := range []struct{ version, systems, want string }{
		{"1.2", "linux/amd64", `"1.2" is no version such as 1.2.3`},
		{"1.2.3 -X x=y", "linux/amd64", "is no version"},
		{"1.2.3", "linux", "linux: write GOOS/GOARCH"},
		{"1.2.3", "linux/vax", "go build: "},
	} {
		cmd := exec.Command(tool, "-o", t.TempDir(), "-version", tt.version, "-commit", "1", "-systems", tt.systems)
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "SOURCE_DATE_EPOCH=1")
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s, %s: %v\n%s", tt.version, tt.systems, err, out)
		}
	}
}
