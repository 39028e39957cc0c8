package daemon

import (
	"context"
	"fmt"
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

// openLog makes the logger of a program that serves in-process.
func (p *program) openLog(stderr io.Writer) (*slog.Logger, func(), error) {
	out, closeFile := stderr, func() error { return nil }
	if name := p.conf.LogFile; name != "" {
		f, err := logs.OpenFile(name)
		if err != nil {
			return nil, nil, fmt.Errorf("log_file %s: %w", name, err)
		}
		out, closeFile = f, f.Close
	}
	log, end := p.conf.logTo(out)
	return log, func() { end(); closeFile() }, nil
}

// logTo makes a logger that writes to out. The function it returns writes out
// what is left. Nothing that logs ever waits for the disk or the reader of a
// pipe.
func (c *Config) logTo(out io.Writer) (*slog.Logger, func()) {
	format := logs.NewLine
	if c.LogFormat == "json" {
		format = logs.NewJSON
	}
	queue := logs.NewAsync(out, 0, format)
	end := func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
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
