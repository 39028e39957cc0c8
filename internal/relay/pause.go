package relay

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ErrPaused is the error of a copy that a Pause has ended. Nothing is lost: what
// has been read has been written.
var ErrPaused = errors.New("nothing comes from either end")

// A Pause ends both copies between a client and another connection when nothing
// has come from either for some time, so that the two can wait with no goroutine.
// Busy copies pay two atomic additions for each read. It must not be copied.
type Pause struct {
	// asked has a source look what is wanted of it: its read deadline has been
	// set to the past.
	asked [2]atomic.Bool
	waits [2]atomic.Uint32 // odd while that source waits
	seen  [2]uint32        // by the last Look

	mu     sync.Mutex
	cond   sync.Cond
	conns  [2]net.Conn // sockets: of the client and of the other end
	wanted bool        // both are to end
	halted int         // sources that have found nothing since
	over   bool        // there is nothing to pause any more
}

// A Pausing is the other connection of a client, for copies that a Pause may
// end.
type Pausing struct {
	net.Conn
	Pause *Pause
}

// Init prepares p for copies between these sockets.
func (p *Pause) Init(client, other net.Conn) {
	p.conns = [2]net.Conn{client, other}
	p.cond.L = &p.mu
}

var longAgo = time.Unix(1, 0)

// Look ends the copies if both sources have waited since the last Look. It is for
// one goroutine at a time.
func (p *Pause) Look() {
	a, b := p.waits[0].Load(), p.waits[1].Load()
	quiet := a&1 == 1 && b&1 == 1 && a == p.seen[0] && b == p.seen[1]
	p.seen = [2]uint32{a, b}
	if !quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.wanted || p.asked[0].Load() || p.asked[1].Load() {
		return
	}
	p.wanted = true
	for i := range p.asked {
		p.asked[i].Store(true)
	}
	// A source that has got something meanwhile either sees that it is asked, or
	// is seen here.
	if p.waits[0].Load() != a || p.waits[1].Load() != b {
		p.wanted = false
	}
	for _, c := range p.conns {
		c.SetReadDeadline(longAgo)
	}
}

// Begin prepares p for the next copies. None may run.
func (p *Pause) Begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted, p.halted = false, 0
}

// End ends p: a copy that has been asked to end goes on.
func (p *Pause) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over, p.wanted = true, false
	p.cond.Broadcast()
}

// isAsked reports whether s has to call answer.
func (s *Source) isAsked() bool { return s.pause != nil && s.pause.asked[s.side].Load() }

// answer says whether s is to end, for it has found nothing, as err tells, and
// neither has the other source. It waits until that is known.
func (s *Source) answer(n int, err error) (end bool) {
	p := s.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	s.rearm()
	p.asked[s.side].Store(false)
	switch {
	case !p.wanted:
		return false
	case n > 0 || !errors.Is(err, os.ErrDeadlineExceeded):
		p.wanted = false
		p.cond.Broadcast()
		return false
	}
	p.halted++
	p.cond.Broadcast()
	for p.wanted && p.halted < len(p.conns) {
		p.cond.Wait()
	}
	if p.halted == len(p.conns) {
		return true
	}
	p.halted--
	return false
}

// rearm has the next arm set a deadline again, in the place of that of a Pause.
func (s *Source) rearm() {
	if s.account != nil {
		s.limits.RenewRead(s.conn)
		return
	}
	s.armed = time.Time{}
	s.pause.conns[s.side].SetReadDeadline(time.Time{})
}
