package logging

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/identity"
	"netserver/logs"
)

// The processes that a supervisor starts have neither the log nor its standard
// streams open: what a worker could truncate, or read from, or make its own. They
// have pipes, from which the supervisor takes lines.

// A Collector takes what the processes of a supervisor write, and puts it into
// queues that never wait. Its methods may be called concurrently.
type Collector struct {
	conf     Config
	form     string // of records
	log      *logs.Async
	access   *accessLog  // nil is none
	out, err *logs.Async // err is log where both go to the same place

	outForm, errForm string // of records that go there
}

// streamQueue is the size of a queue before a standard stream, in bytes.
const streamQueue = 256 << 10

// Collect returns a Collector for l, whose processes' standard streams go to
// out and err.
func (l *Log) Collect(out, err io.Writer) *Collector {
	c := &Collector{conf: l.conf, form: l.Form, log: l.queue, err: l.queue, outForm: l.conf.streamForm(out), errForm: l.Form}
	if l.file != nil || l.Form == FormSyslog {
		c.err, c.errForm = logs.NewAsync(err, streamQueue, nil), l.conf.streamForm(err)
	}
	c.out = logs.NewAsync(out, streamQueue, nil)
	c.access = l.access
	return c
}

// streamFlush bounds how long the end waits for the standard streams.
const streamFlush = time.Second

// Close writes out what is left of the standard streams.
func (c *Collector) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), streamFlush)
	defer cancel()
	c.out.Close(ctx)
	if c.err != c.log {
		c.err.Close(ctx)
	}
}

// Pipes are what one process writes to. Nil ones are none.
type Pipes struct {
	c             *Collector
	log, out, err *os.File // our ends; out and err are nil if they go elsewhere
	access        *os.File // nil without an access log
	theirs        []*os.File
	done          sync.WaitGroup
	stop          chan struct{} // closed when nobody waits for room in a queue any more
}

// Pipes makes the pipes for a process that is to be started, and has it
// inherit them: the log as the first of its files, and the access log, if there
// is one, as the second. What how says of the standard
// streams stays. owner, if it is not nil, becomes the owner of those that are
// standard streams: programs open /dev/stderr.
func (c *Collector) Pipes(how *childproc.Start, owner *identity.Account) (*Pipes, error) {
	p := &Pipes{c: c, stop: make(chan struct{})}
	pipe := func(ours, theirs **os.File) error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		*ours, *theirs = r, w
		p.theirs = append(p.theirs, w)
		return nil
	}
	var log *os.File
	err := pipe(&p.log, &log)
	if err == nil && how.Stdout == nil {
		err = pipe(&p.out, &how.Stdout)
	}
	if err == nil && how.Stderr == nil {
		err = pipe(&p.err, &how.Stderr)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	if owner != nil {
		for _, f := range p.theirs[1:] {
			f.Chown(owner.UID, owner.GID)
		}
	}
	inherited := []*os.File{log}
	if c.access != nil {
		var access *os.File
		if err := pipe(&p.access, &access); err != nil {
			p.Close()
			return nil, err
		}
		inherited = append(inherited, access)
	}
	how.Files = append(inherited, how.Files...)
	return p, nil
}

// Close gives up the pipes of a process that was not started.
func (p *Pipes) Close() {
	wire.CloseFiles(p.theirs)
	for _, f := range []*os.File{p.log, p.out, p.err, p.access} {
		f.Close()
	}
}

// Begin takes what the process of a number, which has been started, writes.
func (p *Pipes) Begin(pid int) {
	wire.CloseFiles(p.theirs)
	p.theirs = nil
	c := p.c
	r := recordRelay{Pipes: p, pid: pid, isRecord: c.conf.recordCheck(c.form, pid)}
	r.other = slog.New(c.conf.Format(c.form)(sharedWriter{c.log, p.stop}, logs.Options{}))
	p.done.Go(r.run)
	if p.access != nil {
		p.done.Go(func() { relayAccess(p.access, c.access, p.stop) })
	}
	if p.out != nil {
		p.done.Go(func() { relayLines(p.out, c.out, c.outForm) })
	}
	if p.err != nil {
		p.done.Go(func() { relayLines(p.err, c.err, c.errForm) })
	}
}

// FinishTime is how long the output of a process that has ended is waited for:
// what it has left behind may have the pipe too.
const FinishTime = time.Second

// Finish waits until all has been taken that a process wrote before its end.
// What it has left behind may go on to write: that is not waited for.
func (p *Pipes) Finish() {
	if p == nil {
		return
	}
	end := time.Now().Add(FinishTime)
	for _, f := range []*os.File{p.log, p.out, p.err, p.access} {
		f.SetReadDeadline(end)
	}
	t := time.AfterFunc(FinishTime, func() { close(p.stop) })
	defer t.Stop()
	p.done.Wait()
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

// relayLines takes lines of a standard stream. They are no records: what is in
// them is the process's own, but it cannot forge a line beside its own.
func relayLines(f *os.File, to *logs.Async, form string) {
	defer f.Close()
	limit := wire.Limiter{PerSecond: streamLines}
	var buf []byte
	eachLine(f, maxStreamLine, func(line []byte, cut bool) {
		limit.Wait()
		buf = appendStreamLine(buf[:0], line, form)
		if cut {
			buf = append(buf, cutMark...)
		}
		to.WriteShared(append(buf, '\n'), nil)
	})
}

// relayAccess takes lines of the access log. A process that writes too many
// waits, and counts itself what it loses.
func relayAccess(f *os.File, to *accessLog, stop chan struct{}) {
	defer f.Close()
	limit := wire.Limiter{PerSecond: recordBytes}
	sink := to.sink(sharedWriter{to.queue, stop})
	var buf []byte
	eachLine(&paced{r: f}, maxRecordLine, func(line []byte, cut bool) {
		limit.WaitFor(len(line) + recordCost)
		buf = appendStreamLine(buf[:0], line, "")
		if cut {
			buf = append(buf, cutMark...)
		}
		buf = append(buf, '\n')
		sink(buf)
	})
}

const cutMark = " ... cut"

// A recordRelay takes the records of a process's log.
type recordRelay struct {
	*Pipes
	pid      int
	isRecord func(line []byte) bool
	other    *slog.Logger // for what is none
}

// run takes records until the last process is gone that has the pipe. Where
// they would be too many that process waits, and counts itself what it loses.
func (r *recordRelay) run() {
	defer r.log.Close()
	limit := wire.Limiter{PerSecond: recordBytes}
	eachLine(&paced{r: r.log}, maxRecordLine, func(line []byte, cut bool) {
		limit.WaitFor(len(line) + recordCost)
		if cut || !r.isRecord(line) {
			r.other.Warn("a process wrote something other than a record to the log", "from", r.pid, "text", wire.Clean(string(line), wire.MaxLineBytes))
			return
		}
		r.c.log.WriteShared(append(line, '\n'), r.stop)
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
