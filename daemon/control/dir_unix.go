//go:build unix

package control

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Supported reports whether there can be a control socket on this system.
const Supported = true

// checkDir refuses a directory, and one around it, in which somebody but root
// and this process's user could put another file in the socket's place: whoever
// talks to it would talk to them. In a sticky directory, as /tmp is, others can
// put files but not replace ours; what they put there first stops the start.
func checkDir(dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("its directory: %w", err)
	}
	for d := real; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		switch mode := info.Mode(); {
		case !info.IsDir():
			return fmt.Errorf("%s is not a directory", d)
		case !ok:
			return fmt.Errorf("it cannot be told whose %s is", d)
		case st.Uid != 0 && int(st.Uid) != os.Geteuid():
			return fmt.Errorf("the directory %s belongs to user %d, who could put another socket in its place; it must be root's or the server's own", d, st.Uid)
		case mode&0o022 != 0 && mode&fs.ModeSticky == 0:
			return fmt.Errorf("others may write to the directory %s (mode %04o), and could put another socket in its place: chmod go-w %s", d, mode.Perm(), d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}
