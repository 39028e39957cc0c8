package logging

import (
	"context"
	"io"
	"log/slog"
	"time"

	"netserver/logs"
)

// flushTime bounds how long the end of a process waits for the log.
const flushTime = 2 * time.Second

// A Log is where the log of this process goes.
type Log struct {
	*slog.Logger
	Form   string // of its records; see forms.go
	conf   Config
	file   *logs.File  // nil if it goes to standard error or syslog
	queue  *logs.Async // before it
	level  *slog.LevelVar
	access *accessLog // nil is none
	end    func()
}

// Open opens the log of a process that writes it itself, or writes those of
// its workers.
func (c *Config) Open(stderr io.Writer) (*Log, error) {
	l, err := c.open(stderr)
	if err != nil {
		return nil, err
	}
	if err := c.openAccess(l, stderr); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// open opens all but the access log.
func (c *Config) open(stderr io.Writer) (*Log, error) {
	switch {
	case ToSyslog(c.File):
		return c.openSyslog(stderr)
	case c.File == "":
		return c.to(stderr), nil
	}
	f, err := c.openFile()
	if err != nil {
		return nil, err
	}
	l := c.to(f)
	end := l.end
	l.file, l.end = f, func() { end(); f.Close() }
	return l, nil
}

// OpenPipe makes the log of a process whose records, in a form, another one
// takes from a pipe.
func (c *Config) OpenPipe(pipe io.Writer, form string) *Log {
	return c.start(pipe, c.Format(form), flushTime)
}

// to makes a log that writes to out, as start does.
func (c *Config) to(out io.Writer) *Log {
	form := c.streamForm(out)
	l := c.start(out, c.Format(form), flushTime)
	l.Form = form
	return l
}

// start makes a log in a format, behind a queue. Its end writes out what is
// left, for so long as flush at most. Nothing that logs ever waits for the
// disk, the reader of a pipe or a syslog daemon.
func (c *Config) start(out io.Writer, format logs.Format, flush time.Duration) *Log {
	l := &Log{conf: *c, queue: logs.NewAsync(out, 0, format), level: new(slog.LevelVar)}
	l.level.Set(logs.Level(c.Level))
	l.Logger = slog.New(format(l.queue, logs.Options{Level: l.level}))
	l.end = func() {
		ctx, cancel := context.WithTimeout(context.Background(), flush)
		defer cancel()
		l.queue.Close(ctx)
	}
	return l
}

// Close writes out what is left, for a bounded time, and closes the log.
func (l *Log) Close() {
	l.access.close()
	l.end()
}

// SetLevel changes what is logged: 0 to 4, as log_level. It may be called at
// any time.
func (l *Log) SetLevel(level int) { l.level.Set(logs.Level(level)) }
