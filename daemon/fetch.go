package daemon

import (
	"encoding/json"
	"errors"

	"netserver/daemon/internal/wire"
	"netserver/internal/certfile"
)

// readDir is readFile for a directory.
func (w *worker) readDir(dir string) ([]certfile.Entry, error) {
	m, err := w.ask(wire.Message{Op: wire.OpRead, Path: dir, Dir: true})
	switch {
	case errors.Is(err, errAlone) || err == nil && m.Failed == wire.ReadItself:
		return certfile.List(dir)
	case err != nil:
		return nil, err
	}
	if err := wire.FileError(dir, m.Failed); err != nil {
		return nil, err
	}
	var list []certfile.Entry
	return list, json.Unmarshal(m.Data, &list)
}
