package sandbox

import (
	"errors"
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	lsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Restrict puts a sandbox in force for this process and all that it starts, for
// good, and returns which version of Landlock does it. Where the system has
// none, the error wraps errors.ErrUnsupported.
func Restrict(b Sandbox) (level string, err error) {
	abi, err := lsys.LandlockGetABIVersion()
	if err != nil || abi < 1 {
		return "", fmt.Errorf("the kernel has no Landlock, or it is switched off: %w", errors.ErrUnsupported)
	}
	rules := []landlock.Rule{
		landlock.RWDirs(b.Write...),
		landlock.RWFiles("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom").IgnoreIfMissing(),
	}
	if b.All {
		rules = append(rules, landlock.RODirs("/"))
	}
	ruled, err := newRuledFiles()
	if err != nil {
		return "", err
	}
	defer ruled.close()
	for _, path := range b.Read {
		info, err := os.Stat(path)
		switch {
		case err != nil: // not there, or out of reach anyway
		case !ruled.has(path):
		case info.IsDir():
			// Not to execute, which RODirs allows too.
			rules = append(rules, landlock.PathAccess(lsys.AccessFSReadFile|lsys.AccessFSReadDir, path).IgnoreIfMissing())
		default:
			rules = append(rules, landlock.PathAccess(lsys.AccessFSReadFile, path).IgnoreIfMissing())
		}
	}
	if err := b.landlock().BestEffort().Restrict(rules...); err != nil {
		return "", err
	}
	return fmt.Sprintf("ABI %d", abi), nil
}

// ruledFiles tells which files Landlock has rules for. Pipes without a name and
// the like have none, such as /dev/stdin or a shell's <(command) lead to; nor
// are they restricted.
type ruledFiles int

func newRuledFiles() (ruledFiles, error) {
	fd, err := lsys.LandlockCreateRuleset(&lsys.RulesetAttr{HandledAccessFS: lsys.AccessFSReadFile}, 0)
	return ruledFiles(fd), err
}

func (r ruledFiles) close() { unix.Close(int(r)) }

func (r ruledFiles) has(path string) bool {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return true // what is wrong is told where the rule is made
	}
	defer unix.Close(fd)
	err = lsys.LandlockAddPathBeneathRule(int(r), &lsys.PathBeneathAttr{ParentFd: fd, AllowedAccess: lsys.AccessFSReadFile}, 0)
	return !errors.Is(err, unix.EBADFD)
}

// landlock returns what is restricted, as far as the kernel can do that. Version
// 9 and those after it restrict connections, which are left alone here.
func (b Sandbox) landlock() landlock.Config {
	c := landlock.Config{HandledAccessFS: landlock.V8.HandledAccessFS}
	if b.All {
		// Programs speak to whom they like, and are ended by a thread that
		// did not start them.
		return c
	}
	c.HandledAccessNet = lsys.AccessNetBindTCP // the ports are open already
	if !b.Abstract {
		c.Scoped |= lsys.ScopeAbstractUnixSocket
	}
	if signalsAmongThreads() {
		c.Scoped |= lsys.ScopeSignal
	}
	return c
}

// signalsAmongThreads reports whether a thread under Landlock can signal the
// others of its process in any case, as the Go runtime has to. Some kernels of
// version 6 do not let it.
func signalsAmongThreads() bool {
	const errataFlag, signalErratum = 1 << 1, 1 << 1
	fixed, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, errataFlag)
	return errno == 0 && fixed&signalErratum != 0
}

// KeepToItself has the kernel let no other process of this user look into this
// one: not by ptrace, not at its descriptors and memory in /proc, not by
// pidfd_getfd. Such a process leaves no core dump. It is in force until the
// process executes a program.
func KeepToItself() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}
