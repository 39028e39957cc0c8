//go:build unix

package control

import (
	"fmt"
	"os"

	"netserver/internal/place"
)

// Supported reports whether this system supports a control socket.
const Supported = true

// checkDir refuses a directory if somebody other than root and this process's
// user could replace the socket in it, or one of the directories above:
// operators would then talk to that person's socket. In a sticky directory
// such as /tmp others can add files but not replace ours; a file that they put
// there first fails the start.
func checkDir(dir string) error {
	switch info, err := os.Stat(dir); {
	case err != nil:
		return fmt.Errorf("its directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	// No such file exists: only the directory is checked.
	if err := place.Guarded(dir + "/.none"); err != nil {
		return fmt.Errorf("%w, where the socket could be replaced; it must belong to root or the server's user, and not be writable by others", err)
	}
	return nil
}
