package supervisor

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"netserver/daemon/internal/wire"
	"netserver/internal/certfile"
	"netserver/internal/identity"
	"netserver/tlsparams"
	"netserver/tlsparams/handout"
)

// allowed is what the workers of a generation may have read for them.
type allowed struct {
	*handout.Handout
	contents map[string][]byte   // of files, as they were found good
	uid      func() (int, []int) // of the workers, and their groups; -1 is our own
}

// newAllowed returns what the ports of a plan name.
func newAllowed(c *Settings, pl *wire.Plan, contents map[string][]byte) (*allowed, error) {
	a := &allowed{Handout: &handout.Handout{NoKeys: pl.Isolate}, contents: contents, uid: func() (int, []int) {
		if a := c.Identity.Account; a != nil {
			return a.UID, a.Groups
		}
		return -1, nil
	}}
	a.Add(c.TLS)
	for _, params := range c.Outbound {
		a.Add(params)
	}
	for _, r := range pl.Ports {
		params, err := c.TLS.With(r.Spec.Params)
		if err != nil {
			return nil, err
		}
		a.Add(params)
	}
	return a, nil
}

// read reads a file for a worker. A file in a directory that the worker could
// write to is left to it: a link that it puts there must not make root read
// any other file. Unless it is to be fresh, it is as it was checked.
func (a *allowed) read(path string, fresh bool) ([]byte, error) {
	path = filepath.Clean(path)
	if !a.Names(path) {
		return nil, errors.New(wire.ReadItself)
	}
	data, ok := a.contents[path]
	if !ok || fresh {
		if a.own(path) {
			return nil, errors.New(wire.ReadItself)
		}
		var err error
		if data, err = certfile.Read(certfile.RoleCert, path); err != nil {
			return nil, toWorker(err)
		}
	}
	data, err := a.File(path, data)
	if err != nil {
		return nil, errors.New(wire.Unusable + err.Error())
	}
	return data, nil
}

// toWorker is an error of reading a file in the form that failure and readFile
// understand.
func toWorker(err error) error {
	var fe *certfile.Error
	if errors.As(err, &fe) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return errors.New(wire.Unusable + fe.Reason)
	}
	return err
}

// list returns what is looked for in a directory, as JSON.
func (a *allowed) list(dir string) ([]byte, error) {
	dir = filepath.Clean(dir)
	if !a.Lists(dir) || a.own(filepath.Join(dir, "x")) {
		return nil, errors.New(wire.ReadItself)
	}
	entries, err := tlsparams.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	return json.Marshal(a.Entries(dir, entries))
}

func (a *allowed) answer(m wire.Message) ([]byte, error) {
	if m.Dir {
		return a.list(m.Path)
	}
	return a.read(m.Path, m.Fresh)
}

// own reports whether a worker is to reach for path itself: it is who we are,
// or could put something else there.
func (a *allowed) own(path string) bool {
	uid, gids := a.uid()
	return uid == -1 || (identity.FileRights{UID: uid, Groups: gids}).MayReplace(path)
}

// readKey reads a file that is for the supervisor alone. Unless it is to be
// fresh, it is as it was checked.
func (a *allowed) readKey(path string, fresh bool) ([]byte, error) {
	path = filepath.Clean(path)
	if data, ok := a.contents[path]; ok && !fresh {
		return slices.Clone(data), nil // it is overwritten after use
	}
	if uid, gids := a.uid(); uid != -1 && (identity.FileRights{UID: uid, Groups: gids}).MayReplace(path) {
		return nil, &certfile.Error{File: path, Reason: "is in a directory that the workers may write to, so one of them could have made it; with key_isolation it is not read"}
	}
	return certfile.Read(certfile.RoleCert, path)
}
