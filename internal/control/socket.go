package control

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"

	"netserver/port"
	"netserver/sock"
)

// A Socket says where a control socket is, and whose.
type Socket struct {
	Path     string      // absolute
	Mode     fs.FileMode // 0 means 0600
	UID, GID int         // of the file; -1 is the server's own
}

// Listen opens the socket. A file that a server left there is taken over only
// if no process has it open, and it is removed when the listener is closed.
// The directory must be one in which nobody but root and this user can put
// another file in its place.
func (s Socket) Listen(ctx context.Context) (net.Listener, error) {
	if err := checkDir(filepath.Dir(s.Path)); err != nil {
		return nil, fmt.Errorf("control_socket %s: %w", s.Path, err)
	}
	o := sock.Options{UnixMode: s.Mode}
	if s.Mode == 0 {
		o.UnixMode = 0o600
	}
	if s.UID >= 0 {
		o.UnixOwner = fmt.Sprint(s.UID)
	}
	if s.GID >= 0 {
		o.UnixGroup = fmt.Sprint(s.GID)
	}
	l, err := sock.Listen(ctx, "unix", port.Spec{Port: s.Path, Proto: "unix"}, o)
	if err != nil {
		return nil, fmt.Errorf("control_socket: %w", err)
	}
	return l, nil
}
