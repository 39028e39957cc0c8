package logging

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"netserver/logs"
)

// An accessLog is where the lines of the access log go. Nil is nowhere.
type accessLog struct {
	file   *logs.File    // nil if it is none
	queue  *logs.Async   // before it
	own    bool          // the queue is not the log's
	form   string        // of records that go where the lines go; see guardLine
	format logs.Format   // of a syslog; nil elsewhere
	to     io.Closer     // what is closed at the end; nil is nothing
	flush  time.Duration // bounds how long the end waits for it
	losses *accessLosses // of its own queue
}

// accessStream returns which standard stream an access_log_file means, "" for
// none of them.
func accessStream(name string) string {
	switch name {
	case "STDOUT", "/dev/stdout":
		return "stdout"
	case "STDERR", "/dev/stderr":
		return "stderr"
	}
	return ""
}

// HasAccess reports whether there is an access log.
func (c *Config) HasAccess() bool { return c.Access != "" && c.Access != os.DevNull }

// openAccess opens the access log beside l.
func (c *Config) openAccess(l *Log, stderr io.Writer) error {
	if !c.HasAccess() {
		return nil
	}
	a := &accessLog{own: true, flush: flushTime}
	var out io.Writer
	socket, journal := toJournal(c.Access)
	argv, program := toProgram(c.Access)
	switch stream := accessStream(c.Access); {
	case stream == "stdout":
		out = os.Stdout
	case stream == "stderr" && l.Form != FormSyslog:
		l.access = &accessLog{queue: l.queue, form: l.Form} // beside the log, in its file or on its stream
		return nil
	case stream == "stderr":
		out = stderr
	case journal:
		l.access = a
		return c.openAccessJournal(a, socket, l.Logger)
	case program:
		l.access = a
		return c.openAccessProgram(a, argv, l.Logger)
	case ToSyslog(c.Access):
		l.access = a
		return c.openAccessSyslog(a, l.Logger)
	default:
		f, err := c.openAccessFile()
		if err != nil {
			return err
		}
		a.file, a.to, out = f, f, f
	}
	a.form = c.streamForm(out)
	a.useQueue(&gathering{w: out}, l.Logger)
	l.access = a
	return nil
}

// useQueue has a write to out through a queue. What it loses is told to log, since
// a line about it is none of the access log's own.
func (a *accessLog) useQueue(out io.Writer, log *slog.Logger) {
	r := &accessLosses{log: log, done: make(chan struct{})}
	a.losses = r
	r.queue = logs.NewAsync(out, 0, func(io.Writer, logs.Options) slog.Handler { return r })
	a.queue = r.queue
	go r.watch()
}

// close writes out what is left, and closes the file.
func (a *accessLog) close() {
	if a == nil || !a.own || a.queue == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.flush)
	defer cancel()
	a.queue.Close(ctx)
	if a.to != nil {
		a.to.Close()
	}
	close(a.losses.done)
	a.losses.tell(0)
}

// reopen opens the file again, if there is one.
func (a *accessLog) reopen(log *slog.Logger) error {
	if a == nil || a.file == nil {
		return nil
	}
	if err := a.file.Reopen(); err != nil {
		log.Error(err.Error())
		return err
	}
	Notice(log, "access log file reopened")
	return nil
}

func (a *accessLog) moved() bool { return a != nil && a.file != nil && a.file.Moved() }

// AccessWriter returns what writes lines of the access log, each with its end,
// and waits for nothing; nil if there is no access log.
func (l *Log) AccessWriter() func(line []byte) {
	if l.access == nil {
		return nil
	}
	return l.access.sink(l.access.queue)
}

// guardLine returns a line that may begin with what a client sent, such that
// systemd's journal, if it reads that form, takes nothing in it for a priority:
// it writes those of emergencies to all terminals.
func guardLine(line []byte, form string) []byte {
	if len(line) == 0 || line[0] != '<' || form != FormJournal && form != FormJournalJSON {
		return line
	}
	return append([]byte(logs.JournalPrefix(0)), line...)
}

// AccessPipe returns the same for a process whose lines another one takes from a
// pipe, and what writes out the rest.
func AccessPipe(pipe io.Writer, log *slog.Logger) (write func(line []byte), end func()) {
	a := &accessLog{own: true, flush: flushTime}
	a.useQueue(&gathering{w: pipe}, log)
	return func(line []byte) { a.queue.Write(line) }, a.close
}

// A gathering writer lets lines that come soon after others gather in the queue
// before it: a write, and who is woken by it, cost more than the line.
type gathering struct {
	w    io.Writer
	next time.Time
}

const (
	// gatherTime is how long after others they wait.
	gatherTime = 50 * time.Millisecond
	// gatherBytes are written without waiting: there is enough.
	gatherBytes = 2 << 10
)

func (g *gathering) Write(lines []byte) (int, error) {
	if len(lines) < gatherBytes {
		time.Sleep(time.Until(g.next))
	}
	n, err := g.w.Write(lines)
	g.next = time.Now().Add(gatherTime)
	return n, err
}

// lossPause is how long losses are gathered before the log is told of them
// again.
const lossPause = 10 * time.Second

// An accessLosses tells how many lines a queue before an access log has lost: what
// the queue reports to it, and what it loses while its writer does not come back.
type accessLosses struct {
	log   *slog.Logger
	queue *logs.Async
	done  chan struct{} // closed at the end

	mu   sync.Mutex
	told uint64
	why  string
	next time.Time
}

func (r *accessLosses) Enabled(context.Context, slog.Level) bool { return true }
func (r *accessLosses) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *accessLosses) WithGroup(string) slog.Handler            { return r }

// Handle takes a report of the queue.
func (r *accessLosses) Handle(_ context.Context, report slog.Record) error {
	report.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			r.mu.Lock()
			r.why = a.Value.String()
			r.mu.Unlock()
		}
		return true
	})
	r.tell(lossPause)
	return nil
}

// watch tells of what is lost by a writer that does not come back.
func (r *accessLosses) watch() {
	t := time.NewTicker(lossPause)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			r.tell(lossPause / 2)
		case <-r.done:
			return
		}
	}
}

// tell tells the log how many lines were lost since it was told before, unless
// that was less than a pause ago.
func (r *accessLosses) tell(pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lost, now := r.queue.Lost(), time.Now()
	if lost <= r.told || pause > 0 && now.Before(r.next) {
		return
	}
	why := r.why
	if why == "" {
		why = "what takes them does not take them fast enough"
	}
	r.log.Warn("lines of the access log were lost", "lost", lost-r.told, "err", why)
	r.told, r.why, r.next = lost, "", now.Add(lossPause)
}
