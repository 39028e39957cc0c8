package supervisor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/control"
	"netserver/internal/foreign"
	"netserver/internal/signer"
)

// A keyLink is a worker's way to the keys of its generation.
type keyLink struct {
	agent  *keyAgent
	conn   io.ReadWriteCloser // the supervisor's end
	file   *os.File           // the worker's, until it was handed over
	counts signer.Counts
}

// link prepares a worker's way to the keys and notes it in what the worker
// starts from. A nil key agent has no keys.
func (k *keyAgent) link(in *wire.Start) (*keyLink, error) {
	if k == nil {
		return nil, nil
	}
	l := &keyLink{agent: k}
	mine, theirs, err := childproc.NewPair()
	if err != nil {
		return nil, err
	}
	l.conn, l.file = mine, theirs
	if !k.threads {
		l.conn, err = childproc.ConnOf(mine)
		mine.Close()
		if err != nil {
			theirs.Close()
			return nil, err
		}
	}
	in.Signer, in.SelfSigned, in.SelfKey = true, k.self, k.selfID
	return l, nil
}

// add puts the worker's end behind the files that it inherits.
func (l *keyLink) add(files []*os.File) []*os.File {
	if l == nil {
		return files
	}
	return append(files[:len(files):len(files)], l.file)
}

// begin has the keys sign for w from now on; a nil w has not been started.
func (l *keyLink) begin(s *supervisor, w *child) {
	if l == nil {
		return
	}
	l.file.Close()
	if w == nil {
		l.conn.Close()
		return
	}
	w.keyLink = l
	go l.serve(s, w.id, w.proc.Pid())
}

// serve signs until the worker ends.
func (l *keyLink) serve(s *supervisor, id, pid int) {
	err := l.agent.server.Serve(l.conn, &l.counts, func(r signer.Refusal) {
		if r.Chance {
			s.log.Warn(fmt.Sprintf("worker %d (pid %d) asked for a signature that was refused: %s; either by chance, from a client's random number (once in 10^8 handshakes), or the worker is compromised", id, pid, r.Reason))
			return
		}
		s.log.Error(fmt.Sprintf("worker %d (pid %d) asked for a signature for something other than a handshake: %s; refused, the worker may be compromised", id, pid, r.Reason))
	})
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Debug("signing link of a worker failed", "worker", id, "err", err)
	}
}

// end ends the worker's way to the keys: it may have handed its end to another
// process, which must not sign on.
func (l *keyLink) end() {
	if l == nil {
		return
	}
	if f, ok := l.conn.(syscall.Conn); ok {
		childproc.EndPair(f) // an error means that it has been closed
	}
}

// signatures returns the counts for the control socket.
func (l *keyLink) signatures() *control.Signatures {
	if l == nil {
		return nil
	}
	return &control.Signatures{Signed: l.counts.Signed.Load(), Refused: l.counts.Refused.Load(), Slowed: l.counts.Slowed.Load()}
}

// A foreignLink is a worker's way to sockets that connect from clients'
// addresses, which the supervisor makes: it has the capability for that, and a
// worker has none.
type foreignLink struct {
	link *childproc.Link // the supervisor's end
	file *os.File        // the worker's, until it was handed over
}

// linkForeign prepares a worker's way, nil if its plan wants none, and notes it
// in what the worker starts from.
func linkForeign(in *wire.Start) (*foreignLink, error) {
	if !in.Plan.Foreign {
		return nil, nil
	}
	link, file, err := childproc.NewLink()
	if err != nil {
		return nil, err
	}
	in.Foreign = true
	return &foreignLink{link, file}, nil
}

// add puts the worker's end behind the files that it inherits.
func (l *foreignLink) add(files []*os.File) []*os.File {
	if l == nil {
		return files
	}
	return append(files[:len(files):len(files)], l.file)
}

// begin has sockets made for w from now on; a nil w has not been started.
func (l *foreignLink) begin(s *supervisor, w *child) {
	if l == nil {
		return
	}
	l.file.Close()
	if w == nil {
		l.link.Close()
		return
	}
	w.foreign = l
	go l.serve(s, w.id, w.proc.Pid())
}

// serve makes sockets until the worker ends.
func (l *foreignLink) serve(s *supervisor, id, pid int) {
	defer l.link.Close()
	err := foreign.Serve(l.link)
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		s.log.Error(fmt.Sprintf("worker %d (pid %d) gets no more sockets for transparent: %v", id, pid, err))
	}
}

// end ends the worker's way: it may have handed its end to another process.
func (l *foreignLink) end() {
	if l != nil {
		l.link.Close()
	}
}
