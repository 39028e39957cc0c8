//go:build unix

package control

import (
	"fmt"
	"os"

	"netserver/internal/place"
)

// Supported reports whether there can be a control socket on this system.
const Supported = true

// checkDir refuses a directory, and one around it, in which somebody but root
// and this process's user could put another file in the socket's place: whoever
// talks to it would talk to them. In a sticky directory, as /tmp is, others can
// put files but not replace ours; what they put there first stops the start.
func checkDir(dir string) error {
	switch info, err := os.Stat(dir); {
	case err != nil:
		return fmt.Errorf("its directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	// Nothing is called so: it is about the place.
	if err := place.Guarded(dir + "/.none"); err != nil {
		return fmt.Errorf("%w, where another socket could be put in its place; it must be root's or the server's own, and others must not write to it", err)
	}
	return nil
}
