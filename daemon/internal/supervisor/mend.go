package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"netserver/internal/mend"
	"netserver/sock"
)

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
