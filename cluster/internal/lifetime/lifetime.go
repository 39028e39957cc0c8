// Package lifetime tells when values end in stores that do not end them
// themselves, without trust in clocks: once this process has seen a value, its
// end is counted from there by the monotonic clock, so that a clock that jumps
// changes nothing.
//
// It imports nothing of this module. Start reading at Ends.
package lifetime

import (
	"sync"
	"time"
)

// maxSeen bounds the values that are remembered.
const maxSeen = 20_000

// Ends remembers when values end. The zero value is ready; its methods may be
// called at the same time.
type Ends struct {
	mu   sync.Mutex
	seen map[string]end
}

type end struct {
	rev uint64
	at  time.Time
}

// At returns when the value of key in revision rev ends. Only the first call for
// a revision counts ttl, and age, which is how old the value was then; one that
// seems to come from the future is new.
func (e *Ends) At(key string, rev uint64, ttl, age time.Duration) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s, ok := e.seen[key]; ok && s.rev == rev {
		return s.at
	}
	now := time.Now()
	at := now.Add(ttl - max(age, 0))
	if e.seen == nil {
		e.seen = make(map[string]end)
	}
	if len(e.seen) >= maxSeen {
		for k, s := range e.seen {
			if s.at.Before(now) {
				delete(e.seen, k)
			}
		}
	}
	if len(e.seen) < maxSeen {
		e.seen[key] = end{rev, at}
	}
	return at
}

// Forget forgets a key that is not there any more.
func (e *Ends) Forget(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.seen, key)
}
