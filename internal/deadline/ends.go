package deadline

import "time"

// Ends are the times at which a client ends if nothing passes before that; zero
// is never.
type Ends struct {
	Idle, Life, FirstRequest time.Time
	Read, Write              time.Time // the handler's own, of a read or write that waits then
}

// Ends tells when the limits end, as things stand. A first request that no read
// waits for has no end yet.
func (l *Limits) Ends() (e Ends) {
	l.mu.Lock()
	off := l.off
	e.Read, e.Write = l.userRead, l.userWrite
	l.mu.Unlock()
	if off {
		return Ends{}
	}
	e.Life, e.FirstRequest = l.end, l.firstEnd()
	if l.idle > 0 {
		e.Idle = time.Unix(0, l.last.Load()).Add(l.idle)
	}
	return e
}
