package examples_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestProtocolFromOutside runs the tests of a module of its own, which takes
// netserver from this folder: what its protocols do needs nothing of ours that
// others cannot have. After a change of this module's dependencies, go mod tidy
// has to be run there too.
func TestProtocolFromOutside(t *testing.T) {
	cmd := exec.Command("go", "test", "-count=1", "./...")
	cmd.Dir = "protocol"
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
