package supervisor

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/proc"
	"netserver/logs"
)

// The processes that a supervisor starts have neither the log nor its standard
// streams open: what a worker could truncate, or read from, or make its own. They
// have pipes, from which the supervisor takes lines.

// sinks are where those lines go: queues that never wait.
type sinks struct{ log, out, err *logs.Async }

// streamQueue is the size of a queue before a standard stream, in bytes.
const streamQueue = 256 << 10

func (s *supervisor) newSinks() sinks {
	k := sinks{log: s.opened.Queue, err: s.opened.Queue}
	if s.logFile != nil || s.logForm == logging.FormSyslog {
		k.err = logs.NewAsync(s.o.stderrFile(), streamQueue, nil)
	}
	k.out = logs.NewAsync(os.Stdout, streamQueue, nil)
	return k
}

// end writes out what is left.
func (k sinks) end() {
	ctx, cancel := context.WithTimeout(context.Background(), streamFlush)
	defer cancel()
	k.out.Close(ctx)
	if k.err != k.log {
		k.err.Close(ctx)
	}
}

// streamFlush bounds how long the end waits for a standard stream.
const streamFlush = time.Second

// An output is the pipes that one process writes to. A nil one has none.
type output struct {
	log, out, err *os.File // our ends; out and err are nil if they go elsewhere
	theirs        []*os.File
	done          sync.WaitGroup
	stop          chan struct{} // closed when nobody waits for room in a queue any more
}

// newOutput makes the pipes for a process that is to be started, and has it
// inherit them. What how says of the standard streams stays.
func (s *supervisor) newOutput(g *generation, how *proc.Start) (*output, error) {
	o := &output{stop: make(chan struct{})}
	pipe := func(ours, theirs **os.File) error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		*ours, *theirs = r, w
		o.theirs = append(o.theirs, w)
		return nil
	}
	var log *os.File
	err := pipe(&o.log, &log)
	if err == nil && how.Stdout == nil {
		err = pipe(&o.out, &how.Stdout)
	}
	if err == nil && how.Stderr == nil {
		err = pipe(&o.err, &how.Stderr)
	}
	if err != nil {
		o.close()
		return nil, err
	}
	if a := g.conf.Identity.Account; a != nil {
		// Programs open /dev/stderr.
		for _, f := range o.theirs[1:] {
			f.Chown(a.UID, a.GID)
		}
	}
	how.Files = append([]*os.File{log}, how.Files...)
	return o, nil
}

// close gives the pipes of a process up that was not started.
func (o *output) close() {
	wire.CloseFiles(o.theirs)
	for _, f := range []*os.File{o.log, o.out, o.err} {
		f.Close()
	}
}

// begin takes what c, which has been started, writes.
func (o *output) begin(s *supervisor, c *child) {
	wire.CloseFiles(o.theirs)
	o.theirs = nil
	l := logRelay{output: o, c: c, to: s.sinks.log, isRecord: s.conf.Log.RecordCheck(s.logForm, c.proc.Pid())}
	l.other = slog.New(s.conf.Log.Format(s.logForm)(sharedWriter{l.to, o.stop}, logs.Options{}))
	o.done.Go(l.run)
	if o.out != nil {
		o.done.Go(func() { o.relay(o.out, s.sinks.out, "") })
	}
	if o.err != nil {
		form := ""
		if s.sinks.err == s.sinks.log {
			form = s.logForm
		}
		o.done.Go(func() { o.relay(o.err, s.sinks.err, form) })
	}
}

// finish waits until all has been taken that a process wrote before its end.
// What it has left behind may go on to write: that is not waited for.
func (o *output) finish() {
	if o == nil {
		return
	}
	end := time.Now().Add(outputTime)
	for _, f := range []*os.File{o.log, o.out, o.err} {
		f.SetReadDeadline(end)
	}
	t := time.AfterFunc(outputTime, func() { close(o.stop) })
	defer t.Stop()
	o.done.Wait()
}

const (
	maxRecordLine = 64<<10 + 1<<10 // logs cut records there
	maxStreamLine = 8 << 10
	// streamLines is how many lines of a standard stream are taken in a
	// second; a process that writes more waits. recordBytes is the same for
	// the log.
	streamLines = 10_000
	recordBytes = 16 << 20
	recordCost  = 256 // of each, beside its bytes
)

// A sharedWriter writes the supervisor's own records about what a process
// wrote, of which there may be as many.
type sharedWriter struct {
	to   *logs.Async
	stop chan struct{}
}

func (w sharedWriter) Write(b []byte) (int, error) { return w.to.WriteShared(b, w.stop) }

// relay takes lines of a standard stream. They are no records: what is in them
// is the process's own, but it cannot forge a line beside its own.
func (o *output) relay(f *os.File, to *logs.Async, form string) {
	defer f.Close()
	limit := limiter{perSecond: streamLines}
	var buf []byte
	logging.EachLine(f, maxStreamLine, func(line []byte, cut bool) {
		limit.wait()
		buf = logging.AppendStreamLine(buf[:0], line, form)
		if cut {
			buf = append(buf, cutMark...)
		}
		to.WriteShared(append(buf, '\n'), nil)
	})
}

const cutMark = " ... cut"

// A logRelay takes the records of a process's log.
type logRelay struct {
	*output
	c        *child
	to       *logs.Async
	isRecord func(line []byte) bool
	other    *slog.Logger // for what is none
}

// run takes records until the last process is gone that has the pipe. Where
// they would be too many that process waits, and counts itself what it loses.
func (l *logRelay) run() {
	defer l.log.Close()
	limit := limiter{perSecond: recordBytes}
	logging.EachLine(&paced{r: l.log}, maxRecordLine, func(line []byte, cut bool) {
		limit.waitFor(len(line) + recordCost)
		if cut || !l.isRecord(line) {
			l.other.Warn("a process wrote what is no record to the log", "from", l.c.proc.Pid(), "text", wire.Clean(string(line), wire.MaxLineBytes))
			return
		}
		l.to.WriteShared(append(line, '\n'), l.stop)
	})
}

// A paced reader lets what comes in small pieces gather for a moment: to be
// woken for each line of a busy log costs more than the line.
type paced struct {
	r    io.Reader
	next time.Time
}

// pace is that moment.
const pace = 5 * time.Millisecond

func (p *paced) Read(b []byte) (int, error) {
	time.Sleep(time.Until(p.next))
	n, err := p.r.Read(b)
	if n < len(b)/2 {
		p.next = time.Now().Add(pace)
	}
	return n, err
}
