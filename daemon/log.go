package daemon

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"netserver/logs"
	"netserver/proc"
)

// flushTime bounds how long the end of the program waits for the log.
const flushTime = 2 * time.Second

// An openedLog is where the log of this process goes.
type openedLog struct {
	log    *slog.Logger
	file   *logs.File         // nil: it goes to standard error, or to syslog
	target *logs.SyslogTarget // nil: it does not go to syslog
	end    func()             // writes out what is left, and closes
}

// openLog opens the log of a process that workers do not get theirs from, or
// that is the one they get it from.
func (c *Config) openLog(stderr io.Writer) (*openedLog, error) {
	switch {
	case c.toSyslog():
		return c.openSyslog(stderr)
	case c.LogFile == "":
		log, end := c.logTo(stderr)
		return &openedLog{log: log, end: end}, nil
	}
	f, err := c.openLogFile()
	if err != nil {
		return nil, err
	}
	log, end := c.logTo(f)
	return &openedLog{log: log, file: f, end: func() { end(); f.Close() }}, nil
}

// logTo makes a logger that writes to out, as startLog does.
func (c *Config) logTo(out io.Writer) (*slog.Logger, func()) {
	return c.startLog(out, c.streamFormat(out), flushTime)
}

// startLog makes a logger in a format, behind a queue. The function it returns
// writes out what is left, for so long as flush at most. Nothing that logs ever waits for the disk, the
// reader of a pipe or a syslog daemon.
func (c *Config) startLog(out io.Writer, format logs.Format, flush time.Duration) (*slog.Logger, func()) {
	queue := logs.NewAsync(out, 0, format)
	end := func() {
		ctx, cancel := context.WithTimeout(context.Background(), flush)
		defer cancel()
		queue.Close(ctx)
	}
	return slog.New(format(queue, logs.Options{Level: logs.Level(c.LogLevel)})), end
}

// A logFile is a worker's log, which its supervisor opened: the worker itself
// may not be allowed to.
type logFile struct{ f atomic.Pointer[os.File] }

func newLogFile(f *os.File) *logFile {
	l := new(logFile)
	l.f.Store(f)
	return l
}

// Write implements io.Writer. It is called by one goroutine.
func (l *logFile) Write(b []byte) (int, error) { return l.f.Load().Write(b) }

// replace writes to f from now on. The file before it is closed when nothing
// writes to it any more, by its finalizer.
func (l *logFile) replace(f *os.File) { l.f.Store(f) }

// pidFile makes the pid file, if there is to be one.
func (p *program) pidFile(log *slog.Logger) (*proc.PIDFile, error) {
	name := p.conf.Process.PIDFile
	if name == "" {
		return nil, nil
	}
	f, err := proc.CreatePIDFile(name)
	if err == nil && f.Note() != "" {
		notice(log, f.Note())
	}
	return f, err
}

func removePID(log *slog.Logger, f *proc.PIDFile) {
	if err := f.Remove(); err != nil {
		log.Error(err.Error())
	}
}
