package daemon

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"

	"netserver/tlsparams/certfile"
)

// allowed is the files that the workers of a generation may have read for
// them.
type allowed struct {
	files, dirs []string
	contents    map[string][]byte   // as they were found good
	uid         func() (int, []int) // of the workers, and their groups; -1 is our own
}

func allowedFiles(g *generation) *allowed {
	return &allowed{files: g.plan.Files, dirs: g.plan.Dirs, contents: g.contents, uid: func() (int, []int) {
		if a := g.conf.identity.Account; a != nil {
			return a.UID, a.Groups
		}
		return -1, nil
	}}
}

// read reads a file for a worker. A file in a directory that the worker could
// write to is left to it: a link that it puts there must not make root read
// any other file. Unless it is to be fresh, it is as it was checked.
func (a *allowed) read(path string, fresh bool) ([]byte, error) {
	path = filepath.Clean(path)
	if data, ok := a.contents[path]; ok && !fresh {
		return data, nil
	}
	if !slices.Contains(a.files, path) && !a.inDirs(path) || a.own(path) {
		return nil, errors.New(ownWay)
	}
	return readFile(path)
}

// list returns what is in a directory, as JSON.
func (a *allowed) list(dir string) ([]byte, error) {
	dir = filepath.Clean(dir)
	if !a.inDirs(dir) || a.own(filepath.Join(dir, "x")) {
		return nil, errors.New(ownWay)
	}
	entries, err := certfile.List(dir)
	if err != nil {
		return nil, err
	}
	return json.Marshal(entries)
}

func (a *allowed) answer(m message) ([]byte, error) {
	if m.Dir {
		return a.list(m.Path)
	}
	return a.read(m.Path, m.Fresh)
}

// inDirs reports whether path is one of the directories or below one.
func (a *allowed) inDirs(path string) bool {
	return slices.ContainsFunc(a.dirs, func(d string) bool {
		rel, err := filepath.Rel(d, path)
		return err == nil && filepath.IsLocal(rel)
	})
}

// own reports whether a worker is to reach for path itself: it is who we are,
// or could put something else there.
func (a *allowed) own(path string) bool {
	uid, gids := a.uid()
	return uid == -1 || ownerMayPlant(path, uid, gids)
}
