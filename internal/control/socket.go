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

// A Socket is the path, mode and owner of a control socket.
type Socket struct {
	Path     string      // absolute
	Mode     fs.FileMode // 0 means 0600
	UID, GID int         // of the file; -1 is the server's own
}

// Listen opens the socket. It replaces a leftover file only if no process has
// it open, and closing the listener removes the file. Only root and this user
// may be able to replace files in the directory.
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
