package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/mend"
	"netserver/sock"
)

// A socket is an open port. The supervisor keeps the descriptor alone: a
// listener would wake it for every client.
type socket struct {
	key  string
	req  sock.Request // with the number that port 0 became
	file *os.File
	info fs.FileInfo // of a UNIX socket's file, when it was bound; nil: the file is not ours

	given bool // by a service manager
}

// keysOf names the socket that each port of a plan needs. Ports of equal keys
// can use one after the other's socket.
func keysOf(ports []sock.Request) []string {
	keys := make([]string, len(ports))
	count := make(map[string]int)
	for i, r := range ports {
		k := fmt.Sprintf("%s|%s|%s|%s", r.Network, r.Spec.Host, r.Spec.Port, r.Spec.IPv)
		count[k]++
		keys[i] = fmt.Sprintf("%s|%d", k, count[k])
	}
	return keys
}

// open opens the sockets that pl needs and s has not: all or none. It fills
// the real numbers into pl.
func (s *supervisor) open(ctx context.Context, pl *wire.Plan) (opened []*socket, err error) {
	keys := keysOf(pl.Ports)
	if err := s.ownConflicts(pl, keys); err != nil {
		return nil, err
	}
	var missing []int
	var reqs []sock.Request
	for i, k := range keys {
		if have := s.socks[k]; have != nil && !have.unlinked() {
			// What was asked for is kept, as it says whether a port changed.
			pl.Ports[i].Spec.Port = have.req.Spec.Port
			continue
		}
		missing = append(missing, i)
		reqs = append(reqs, pl.Ports[i])
	}
	ls, err := sock.ListenAll(ctx, reqs)
	if err != nil {
		return nil, err
	}
	var errs []error
	for n, l := range ls {
		logging.Bound(s.log, l)
		so, err := newSocket(keys[missing[n]], reqs[n], l)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		pl.Ports[missing[n]].Spec = so.req.Spec
		opened = append(opened, so)
	}
	if len(errs) > 0 {
		for _, so := range opened {
			so.close()
		}
		return nil, errors.Join(errs...)
	}
	return opened, nil
}

func newSocket(key string, r sock.Request, l net.Listener) (*socket, error) {
	f, err := sock.File(l)
	if u, ok := l.(sock.Unlinker); ok && err == nil {
		u.SetUnlinkOnClose(false)
	}
	so := &socket{key: key, req: r, file: f}
	if b, ok := l.(sock.Named); ok {
		so.req.Spec = b.Spec()
	}
	if r.Spec.IsUnix() && err == nil {
		so.info, err = os.Lstat(r.Spec.Port)
	}
	return so, errors.Join(err, l.Close())
}

// close lets go of the socket, and removes the file of a UNIX socket if it is
// still its own.
func (so *socket) close() error {
	defer so.file.Close()
	if so.info == nil {
		return nil
	}
	now, err := os.Lstat(so.req.Spec.Port)
	if err != nil || !os.SameFile(now, so.info) || !now.ModTime().Equal(so.info.ModTime()) {
		return nil
	}
	l, err := sock.FromFile(so.file, so.req.Network, so.req.Spec, so.req.Options)
	if err != nil {
		return err
	}
	if u, ok := l.(sock.Unlinker); ok {
		u.SetUnlinkOnClose(true)
	}
	return l.Close()
}

// closeSockets closes those that keep says nothing of.
func (s *supervisor) closeSockets(keep map[string]bool) {
	for k, so := range s.socks {
		if keep[k] || so.given && keep != nil {
			// The service manager has it too, and could not give it again.
			continue
		}
		delete(s.socks, k)
		if err := so.close(); err != nil {
			s.log.Error("cannot close a port", slog.String("port", so.req.Spec.Short()), slog.Any("err", err))
		}
	}
}

// filesFor returns the descriptors of a plan's ports.
func (s *supervisor) filesFor(pl *wire.Plan, keys []string) ([]*os.File, error) {
	files := make([]*os.File, len(keys))
	for i, k := range keys {
		so := s.socks[k]
		if so == nil {
			return nil, fmt.Errorf("port %s is not open", pl.Ports[i].Spec.Short())
		}
		files[i] = so.file
	}
	return files, nil
}

// Every process that serves a port has its one socket, and what one of them
// does to that is done to all: after shutdown(2) nobody is ever accepted again.

// lookAtPorts is how often the sockets are looked at, when no process has given
// a reason.
const lookAtPorts = 5 * time.Second

// watchPorts looks at the sockets now and then.
func (s *supervisor) watchPorts() {
	if s.ending {
		return
	}
	s.repairPorts()
	s.after(lookAtPorts, s.watchPorts)
}

// repairPorts makes sockets again what they were that a process has tampered. One
// that cannot be mended is closed, and so are all processes that have it:
// whoever is started next opens it again.
func (s *supervisor) repairPorts() {
	if s.ending {
		return
	}
	for key, so := range s.socks {
		found, err := mend.Socket(so.file, so.req)
		port := so.req.Spec.Short()
		switch {
		case found == "" && err == nil:
		case err == nil:
			s.log.Error(fmt.Sprintf("port %s: a worker has tampered with its socket: %s; repaired", port, found))
		case errors.Is(err, mend.ErrSpoiled) && !so.given:
			s.log.Error(fmt.Sprintf("port %s: a worker has tampered with its socket: %s; reopening it and ending the workers that share it, with their clients", port, found))
			s.openAgain(key, so)
		case errors.Is(err, mend.ErrSpoiled):
			s.log.Error(fmt.Sprintf("port %s: a worker has tampered with its socket, which came from the service manager: %s; stop the server and its socket unit, and start them again", port, found))
		}
	}
}

// openAgain gives a socket up with all the processes that have it.
func (s *supervisor) openAgain(key string, so *socket) {
	delete(s.socks, key)
	so.file.Close() // its file, if it has one, is the next one's to replace
	for _, g := range s.gens {
		if !slices.Contains(g.keys, key) {
			continue
		}
		g.failures++ // of them all together
		for w := range g.workers {
			w.tampered = true
			w.proc.Kill()
		}
	}
}

// reopenPorts opens those of a generation's sockets that were given up. While a
// process that is about to end has one of them, that fails, and is tried again
// with the next process.
func (s *supervisor) reopenPorts(g *generation) error {
	for i, k := range g.keys {
		if s.socks[k] != nil {
			continue
		}
		r := g.plan.Ports[i]
		ls, err := sock.ListenAll(context.Background(), []sock.Request{r})
		if err != nil {
			return err
		}
		so, err := newSocket(k, r, ls[0])
		if err != nil {
			return err
		}
		s.socks[k] = so
	}
	return nil
}
