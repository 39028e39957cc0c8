package connlog

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"netserver/logs"
	"netserver/outcome"
)

// A Limit is how many lines of one outcome are written. The zero Limit is the
// default: all of who was served, defaultPerMinute of each other, and none of
// probes.
type Limit struct {
	PerMinute int // of them; 0 is the default, negative is none at all
	All       bool
	Every     int // each so many-th only, before PerMinute; 0 and 1 are each
}

// Limits are a Limit for each outcome.
type Limits [outcome.Count]Limit

// defaultPerMinute is how many lines of a failed outcome are written in a minute,
// by each process: what strangers send must not fill a disk.
const defaultPerMinute = 1000

// Set sets limits by a text of words: OUTCOME=NUMBER for so many lines a minute,
// OUTCOME=1/NUMBER for one of so many, OUTCOME=all and OUTCOME=none. OUTCOME is a
// name with _ for blanks, failed for all but served and probe, or * for all but
// probe. Later words go before earlier ones.
func (l *Limits) Set(text string) error {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, value, ok := strings.Cut(word, "=")
		limit, err := parseLimit(value)
		if !ok || err != nil {
			return fmt.Errorf("%.40q is none of OUTCOME=NUMBER (lines a minute), OUTCOME=1/NUMBER (one of so many), OUTCOME=all and OUTCOME=none", word)
		}
		switch class, ok := classOf(name); {
		case ok:
			l[class] = limit
		case name == "*" || name == "failed":
			for c := range l {
				if c := outcome.Class(c); c != outcome.Probe && (name == "*" || c != outcome.Served) {
					l[c] = limit
				}
			}
		default:
			return fmt.Errorf("%.40q is no outcome: there are *, failed, %s", name, underscored(strings.Join(outcome.Names(), ", ")))
		}
	}
	return nil
}

func underscored(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, " ", "_"), ",_", ", ")
}

func parseLimit(value string) (Limit, error) {
	switch value {
	case "all":
		return Limit{All: true}, nil
	case "none":
		return Limit{PerMinute: -1}, nil
	}
	every, sampled := strings.CutPrefix(value, "1/")
	n, err := strconv.ParseUint(every, 10, 31)
	switch {
	case err != nil:
		return Limit{}, err
	case sampled && n == 0:
		return Limit{}, strconv.ErrRange
	case sampled && n > 0:
		return Limit{All: true, Every: int(n)}, nil
	case n == 0:
		return Limit{PerMinute: -1}, nil
	}
	return Limit{PerMinute: int(n)}, nil
}

// A counter counts lines by outcome, and tells how many were left out.
type counter struct {
	limits Limits
	log    func() *slog.Logger

	mu     sync.Mutex
	began  time.Time // of the minute
	timer  *time.Timer
	counts [outcome.Count]struct{ seen, written, left int }
}

// minute is what limits are for.
const minute = time.Minute

// allow reports whether one more line may be written now.
func (c *counter) allow(o outcome.Class) bool {
	limit := &c.limits[o]
	if o == outcome.Served && *limit == (Limit{}) {
		return true // without a lock
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.timer == nil && now.Sub(c.began) >= minute {
		c.began = now
		c.begin()
	}
	n := &c.counts[o]
	n.seen++
	if limit.Every > 1 && n.seen%limit.Every != 1 {
		return c.leave(o)
	}
	most := limit.PerMinute
	switch {
	case limit.All:
		return true
	case most == 0 && o == outcome.Served:
		return true
	case most == 0 && o == outcome.Probe:
		return false // counted with the outcomes, and of no interest here
	case most == 0:
		most = defaultPerMinute
	}
	if n.written >= most {
		return c.leave(o)
	}
	n.written++
	return true
}

// leave counts a line that is left out. c.mu is held.
func (c *counter) leave(o outcome.Class) bool {
	c.counts[o].left++
	if c.timer == nil {
		c.timer = time.AfterFunc(minute-time.Since(c.began), c.flush)
	}
	return false
}

// begin begins a minute. c.mu is held.
func (c *counter) begin() {
	for i := range c.counts {
		c.counts[i].written, c.counts[i].left = 0, 0 // seen goes on: each so many-th
	}
}

// flush tells how many lines were left out.
func (c *counter) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == nil {
		return
	}
	c.timer.Stop()
	c.timer = nil
	var attrs []slog.Attr
	for o := range c.counts {
		if n := c.counts[o].left; n > 0 {
			attrs = append(attrs, slog.Int(outcome.Class(o).String(), n))
		}
	}
	if c.log != nil && len(attrs) > 0 {
		c.log().LogAttrs(context.Background(), logs.Notice, "lines left out of the access log, by outcome", attrs...)
	}
	c.began = time.Now()
	c.begin()
}
