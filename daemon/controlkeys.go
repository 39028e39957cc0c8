package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"netserver/access"
	"netserver/conf"
	"netserver/daemon/internal/ctl"
	"netserver/internal/control"
	"netserver/internal/identity"
)

// ControlConfig is where the socket of `netserver ctl` is, and who may use it.
type ControlConfig struct {
	Socket string      // absolute path; "" is no socket
	Mode   fs.FileMode // of its file; 0 means 0600
	Owner  string      // USER[:GROUP], who may use it beside root and the server's own user
}

// The keys of ControlConfig. The command ctl reads the first one too.
const (
	keyControlSocket = "control_socket"
	keyControlMode   = "control_mode"
	keyControlOwner  = "control_owner"
)

func (c *ControlConfig) define(s *conf.Set) {
	c.defineSocket(s)
	s.Define(conf.Key{Name: keyControlMode, Group: groupProcess, When: keyControlSocket, Arg: "MODE", Default: "0600", Help: "mode of that socket's file: 0600, or 0660 with a group in control_owner"}, conf.FileMode(&c.Mode))
	s.Define(conf.Key{Name: keyControlOwner, Group: groupProcess, When: keyControlSocket, Arg: "USER[:GROUP]", Help: "owner of that socket's file, who may use it beside root and the user of the server"}, conf.String(&c.Owner))
}

func (c *ControlConfig) defineSocket(s *conf.Set) {
	s.Define(conf.Key{Name: keyControlSocket, Group: groupProcess, Empty: conf.EmptyTakesOff, When: conf.Always, Arg: "FILE", Help: "UNIX socket by which netserver ctl asks the running server and tells it things (default: none)"}, conf.String(&c.Socket))
}

// controlSocket finds the socket for netserver ctl as the server does: command
// line, environment, conf file. Nothing else of them is looked at: the conf file
// may be one that the server is about to refuse.
func controlSocket(args, environ []string) (string, error) {
	set := &conf.Set{Unknown: conf.KeepUnknown}
	var c ControlConfig
	var confFile string
	c.defineSocket(set)
	set.Define(conf.Key{Name: "conf_file"}, conf.String(&confFile))
	new(Config).DefineTables(set) // so that they are known, and can be left out
	layers := []conf.Layer{set.ReadArgs(args).Layer, set.ReadEnv(environ)}
	layers = set.Read(set.WithConfFile(layers))
	for i := range layers {
		layers[i].Blocks, layers[i].Tables = nil, nil
	}
	_, err := set.Resolve(layers...)
	return c.Socket, err
}

// A controlAccess is a ControlConfig with its names looked up.
type controlAccess struct {
	socket control.Socket
	group  bool // the group may use it
}

// openControl opens the control socket, if there is to be one; nil is none.
func (c *Config) openControl(ctx context.Context, log *slog.Logger, t ctl.Target) (*ctl.Server, error) {
	a, err := c.Process.Control.access(c.Type == typeINET)
	if err != nil || a.socket.Path == "" {
		return nil, err
	}
	return ctl.Open(ctx, ctl.Access{Socket: a.socket, Allow: a.allow}, log, t)
}

// access looks the names up and checks the keys.
func (c *ControlConfig) access(inet bool) (controlAccess, error) {
	a := controlAccess{socket: control.Socket{Path: c.Socket, Mode: c.Mode, UID: -1, GID: -1}}
	switch {
	case c.Socket == "":
		return a, nil
	case !control.Supported:
		return a, errors.New("control_socket: this system does not tell who a client is; leave the key out")
	case inet:
		return a, errors.New("control_socket has no use with type INET, whose processes serve one client each; leave it out")
	case !filepath.IsAbs(c.Socket):
		return a, fmt.Errorf("control_socket: %s must be an absolute path: netserver ctl may be run in another directory", c.Socket)
	}
	if a.socket.Mode == 0 {
		a.socket.Mode = 0o600
	}
	owner, group, grouped := strings.Cut(c.Owner, ":")
	var errs []error
	if owner != "" || group != "" {
		errs = append(errs, a.lookUp(owner, group))
	}
	a.group = grouped && group != "" && a.socket.Mode&0o060 == 0o060
	switch m := a.socket.Mode; {
	case m&0o007 != 0:
		errs = append(errs, fmt.Errorf("control_mode: %04o is for everybody, and who can use the socket can stop the server; give 0600 or 0660", m))
	case m&0o600 != 0o600:
		errs = append(errs, fmt.Errorf("control_mode: %04o keeps the owner out; give 0600 or 0660", m))
	case m&0o070 != 0 && !a.group:
		errs = append(errs, fmt.Errorf("control_mode: %04o is for a group, and no group is named; give control_owner USER:GROUP and control_mode 0660", m))
	}
	return a, errors.Join(errs...)
}

func (a *controlAccess) lookUp(owner, group string) error {
	name := owner
	if name == "" {
		name = fmt.Sprint(os.Geteuid())
	}
	acc, err := identity.LookupAccount(name, group)
	if err != nil {
		return fmt.Errorf("control_owner: %w", err)
	}
	if owner != "" {
		a.socket.UID = acc.UID
		if !identity.IsRoot() && acc.UID != os.Geteuid() {
			return fmt.Errorf("control_owner: only root can give the socket to user %s (%d); leave the user out, or start the server as root", acc.User, acc.UID)
		}
	}
	if group != "" {
		a.socket.GID = acc.GID
	}
	return nil
}

// allow says whether a process may use the socket: root's, this user's, those
// of control_owner. The file's mode comes before that.
func (a *controlAccess) allow(c *access.Cred) error {
	uid := int(c.UID)
	switch {
	case uid == 0, uid == os.Geteuid(), a.socket.UID >= 0 && uid == a.socket.UID:
		return nil
	case a.group && (int(c.GID) == a.socket.GID || slices.Contains(c.Groups, uint32(a.socket.GID))):
		return nil
	}
	return fmt.Errorf("user %d may not control this server: root may, user %d, and whom control_owner names", uid, os.Geteuid())
}
