package wire

import "time"

// A Limiter slows down a process that says more than one that serves well
// would. It belongs to one goroutine.
type Limiter struct {
	PerSecond int
	since     time.Time
	n         int
}

// Wait waits until one more may be taken.
func (l *Limiter) Wait() { l.WaitFor(1) }

// WaitFor waits until n more may be taken.
func (l *Limiter) WaitFor(n int) {
	now := time.Now()
	if now.Sub(l.since) >= time.Second {
		l.since, l.n = now, 0
	}
	if l.n += n; l.n > l.PerSecond {
		time.Sleep(time.Until(l.since.Add(time.Second * time.Duration(l.n/l.PerSecond))))
		l.since, l.n = time.Now(), 0
	}
}
