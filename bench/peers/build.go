package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
)

// Build makes a program of this module, from its folder below the module's
// root, without cgo: such is what is shipped.
func Build(ctx context.Context, folder, to string) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program does not know its module")
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", to, info.Main.Path+"/"+folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
