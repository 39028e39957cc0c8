package admin

import (
	"context"
	"sync"
	"time"
)

const (
	// cacheTime is how long an answer is given again: many viewers cost as one.
	cacheTime = 500 * time.Millisecond
	// slowTime is the same in events of what takes a look at every client, and
	// changes slowly.
	slowTime = 4500 * time.Millisecond
	// askTime bounds how long the server may take for one answer, and waitTime how
	// long a request waits for that: it can still be answered then.
	askTime  = 30 * time.Second
	waitTime = requestTime - time.Second
	// maxAnswers is how many answers are kept; the verbs need fewer.
	maxAnswers = 16
	// maxLists is the same for lists of clients, of which there are as many as
	// requests have parameters. It leaves one of the ways to the server to others:
	// a health check must not wait for lists.
	maxLists = 3
)

// A cache keeps what the server has answered last, and asks once for all who
// want to know the same at the same time.
type cache struct {
	keep    time.Duration // how old an answer may be that is there
	most    int           // how many there may be
	mu      sync.Mutex
	answers map[string]*answer
}

type answer struct {
	done chan struct{} // closed when the rest is there
	at   time.Time
	data []byte
	err  error
}

func (c *cache) init(keep time.Duration, most int) {
	c.keep, c.most, c.answers = keep, most, make(map[string]*answer)
}

// get returns the answer to what key stands for, which is no older than age.
// Whoever waits no longer than ctx, or longer than waitTime, has none: asking goes
// on without it.
func (c *cache) get(ctx context.Context, key string, age time.Duration, ask func(context.Context) ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	a := c.answers[key]
	if a == nil || a.old(age) {
		if !c.room(key) {
			c.mu.Unlock()
			return nil, errBusy
		}
		a = &answer{done: make(chan struct{})}
		c.answers[key] = a
		go a.fill(ask)
	}
	c.mu.Unlock()
	t := time.NewTimer(waitTime)
	defer t.Stop()
	select {
	case <-a.done:
		return a.data, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-t.C:
		return nil, errSlow
	}
}

// room makes room for an answer of key: in place of those that are old, or of any
// that nobody waits for.
func (c *cache) room(key string) bool {
	for k, a := range c.answers {
		if k == key || a.old(c.keep) {
			delete(c.answers, k)
		}
	}
	for k, a := range c.answers {
		if len(c.answers) >= c.most && a.old(0) {
			delete(c.answers, k)
		}
	}
	return len(c.answers) < c.most
}

// old reports whether it is older than age.
func (a *answer) old(age time.Duration) bool {
	select {
	case <-a.done:
		return time.Since(a.at) >= age
	default:
		return false
	}
}

func (a *answer) fill(ask func(context.Context) ([]byte, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	a.data, a.err = ask(ctx)
	a.at = time.Now()
	close(a.done)
}

// forget drops what was answered before a change.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.answers)
}
