package logging

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"netserver/logs"
)

// openSyslog makes the log of a process that reaches the daemon itself. What
// cannot be sent is told on stderr once in a while.
func (c *Config) openSyslog(stderr io.Writer) (*Log, error) {
	t, form, o, err := c.syslog()
	if err != nil {
		return nil, err
	}
	dial := t.Dial
	if !o.nofatal {
		first, err := t.Dial(context.Background())
		if err != nil {
			return nil, fmt.Errorf("log_file %s: %w; with nofatal in syslog_logopt the server starts anyway", c.File, err)
		}
		dial = dialFirst(first, t.Dial)
	}
	r := &outageReport{stderr: stderr}
	return c.startSyslog(form, dial, r.down), nil
}

// syslogFlush bounds how long the end of a process waits for syslog, which may
// not come back. The supervisor waits after its workers.
const syslogFlush = time.Second

// startSyslog makes a log that dial connects to the daemon.
func (c *Config) startSyslog(form logs.Syslog, dial dialFunc, down func(error)) *Log {
	w := logs.NewSyslogWriter(dial, down)
	l := c.start(w, form.New, syslogFlush)
	end := l.end
	l.Form = FormSyslog
	l.end = func() {
		end()
		w.Close()
	}
	return l
}

type dialFunc func(context.Context) (net.Conn, error)

// dialFirst returns a function that has a connection already.
func dialFirst(first net.Conn, dial dialFunc) dialFunc {
	var used atomic.Bool
	return func(ctx context.Context) (net.Conn, error) {
		if !used.Swap(true) {
			return first, nil
		}
		return dial(ctx)
	}
}

// An outageReport tells on standard error that syslog cannot be reached.
type outageReport struct {
	stderr io.Writer
	busy   atomic.Bool
	last   time.Time // of the one goroutine that calls down
}

// outageEvery is how often that is told at most.
const outageEvery = time.Minute

// down does not wait for standard error.
func (r *outageReport) down(err error) {
	if !r.last.IsZero() && time.Since(r.last) < outageEvery || r.busy.Swap(true) {
		return
	}
	r.last = time.Now()
	go r.tell(err)
}

func (r *outageReport) tell(err error) {
	defer r.busy.Store(false)
	PrintWarning(r.stderr, fmt.Errorf("cannot write the log to syslog; lines are queued, and those dropped are counted: %w", err))
}
