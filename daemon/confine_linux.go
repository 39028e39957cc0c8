package daemon

import (
	"errors"
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	lsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// restrictFiles puts f in force for this process and all that it starts.
func restrictFiles(f fence) (level string, err error) {
	abi, err := lsys.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		return "", fmt.Errorf("the kernel has no Landlock, or it is switched off: %w", errors.ErrUnsupported)
	}
	rules := []landlock.Rule{
		landlock.RWDirs(f.write...),
		landlock.RWFiles("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty").IgnoreIfMissing(),
	}
	if f.all {
		rules = append(rules, landlock.RODirs("/"))
	}
	for _, path := range f.read {
		info, err := os.Stat(path)
		switch {
		case err != nil: // not there, or out of reach anyway
		case info.IsDir():
			rules = append(rules, landlock.RODirs(path).IgnoreIfMissing())
		default:
			rules = append(rules, landlock.ROFiles(path).IgnoreIfMissing())
		}
	}
	if err := landlock.V5.BestEffort().RestrictPaths(rules...); err != nil {
		return "", err
	}
	return fmt.Sprintf("ABI %d", abi), nil
}
