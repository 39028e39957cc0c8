package supervisor

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"netserver/internal/childproc"
)

// What programs start may outlive them. A worker, and a job, is the parent of
// what its programs leave running, and the supervisor of what a worker leaves:
// so nothing is lost from sight, and as process 1 of a container nothing stays
// as a zombie. What a worker leaves that ended in order may go on; what one
// leaves that was killed or crashed is ended.

// A leftover is an orphan that may go on.
type leftover struct {
	pid   int
	began int64
}

// leftovers are what is known of those of a supervisor.
type leftovers struct {
	adopted bool // the supervisor is the parent of all orphans
	sweeps  sync.WaitGroup

	mu   sync.Mutex
	keep map[leftover]bool
}

// note lets go on what there is: it was left in order.
func (l *leftovers) note() {
	if !l.adopted {
		return
	}
	keep := make(map[leftover]bool)
	for _, o := range childproc.Orphans() {
		keep[leftover{o.Pid, o.Began}] = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = keep
}

func (l *leftovers) mayStay(o leftover) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keep[o]
}

const (
	sweepTime  = 5 * time.Second // for all of them
	sweepPause = 5 * time.Millisecond
	sweepCalm  = 10 // looks that find nothing, until nothing more is to come
)

// end ends what who left, a worker that was killed or crashed. Its programs
// are dying at this moment, and what they had started becomes ours one after
// the other.
func (l *leftovers) end(log *slog.Logger, who string) {
	if !l.adopted {
		return
	}
	l.sweeps.Go(func() {
		ended, left := l.sweep()
		switch {
		case left > 0:
			log.Error(fmt.Sprintf("%s left processes behind that do not exit: %d still running after %v", who, left, sweepTime))
		case ended > 0:
			log.Warn(fmt.Sprintf("%s left processes behind; ending them: %d", who, ended))
		}
	})
}

// sweep kills all orphans but those that may stay, and those that they leave
// in turn. It returns how many it killed, and how many are left. One that it
// sees for the first time may be of a worker that has just ended in order.
func (l *leftovers) sweep() (ended, left int) {
	seen, killed := make(map[leftover]bool), 0
	for end, calm := time.Now().Add(sweepTime), 0; calm < sweepCalm; time.Sleep(sweepPause) {
		left = 0
		now := make(map[leftover]bool)
		for _, o := range childproc.Orphans() {
			id := leftover{o.Pid, o.Began}
			if o.Dead || l.mayStay(id) {
				continue
			}
			left++
			now[id] = true
			if seen[id] {
				o.Kill()
			} else {
				killed++
			}
		}
		seen = now
		if calm++; left > 0 {
			calm = 0
		}
		if time.Now().After(end) {
			break
		}
	}
	return killed, left
}
