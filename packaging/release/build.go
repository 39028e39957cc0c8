package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A product is what is published for one system.
type product struct {
	*release
	goos, goarch string
	program      string               // where the program was built
	info         *buildinfo.BuildInfo // what is in it
	sbom         []byte
	notices      []byte // licences of what is in it
}

// name is that of the product's files, without what stands behind the last dot.
func (p *product) name() string {
	return "netserver_" + p.Version + "_" + p.goos + "_" + p.goarch
}

// executable is what the program is called.
func (p *product) executable() string {
	if p.goos == "windows" {
		return "netserver.exe"
	}
	return "netserver"
}

// build compiles the program. What the environment or go env -w could change in
// it is given here.
func (p *product) build() error {
	dir := filepath.Join(p.tmp, p.name())
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	p.program = filepath.Join(dir, p.executable())
	daemon := p.Module + "/daemon."
	flags := []string{
		"-s", "-w", "-buildid=",
		"-X", daemon + "release=" + p.Version, "-X", daemon + "commit=" + p.Commit,
		"-X", daemon + "date=" + p.Date.Format("2006-01-02T15:04:05Z"),
	}
	cmd := exec.Command("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", strings.Join(flags, " "), "-o", p.program, "./cmd/netserver")
	cmd.Env = append(os.Environ(), "GOOS="+p.goos, "GOARCH="+p.goarch, "CGO_ENABLED=0",
		"GOFLAGS=-mod=readonly", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off", "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	var err error
	p.info, err = buildinfo.ReadFile(p.program)
	return err
}

// describe says what is in the program.
func (p *product) describe() error {
	var err error
	if p.sbom, err = p.bill(); err != nil {
		return err
	}
	if err := p.create(p.name()+".cdx.json", write(p.sbom)); err != nil {
		return err
	}
	p.notices, err = notices(p.info)
	return err
}
