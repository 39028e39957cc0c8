package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// release builds the program in release/, which is a module of its own, and runs
// it here. It returns its exit status.
func release(args []string) (int, error) {
	dir, err := os.MkdirTemp("", "netserver-packaging-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "release.exe") // every system executes that
	build := exec.Command("go", "-C", filepath.Join("packaging", "release"), "build", "-o", program, ".")
	// Neither a workspace nor vendored modules have this one's dependencies.
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building packaging/release: %w\n%s", err, out)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	return 0, err
}
