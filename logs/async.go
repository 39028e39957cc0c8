package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// An Async is an io.Writer that never waits for the writer below it. Write
// puts a record into a bounded queue; one goroutine writes the queued records.
// While the log's disk is full, or nobody reads its pipe, records are lost but
// clients are served; when writing works again, a record reports how many were
// lost.
//
// Make one with NewAsync. Its methods may be used concurrently.
type Async struct {
	size int
	wake chan struct{} // signals that the queue is no longer empty
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	queue   []byte // whole records
	lost    uint64 // records that did not fit since the queue was last emptied
	total   uint64 // records lost ever
	busy    bool   // the queue is not empty or being written
	closed  bool
	waiting []chan struct{} // closed when busy ends
	room    chan struct{}   // closed when the queue is emptied; nil if nobody waits for that
}

// A Format makes a handler that writes to w, such as NewLine or NewJSON.
type Format func(w io.Writer, o Options) slog.Handler

// defaultQueue is the size of a queue in bytes: some ten thousand lines.
const defaultQueue = 1 << 20

// maxBatch bounds one write of several records. Linux keeps writes of up to
// this size (PIPE_BUF) whole when several processes share a pipe.
const maxBatch = 4096

// NewAsync returns a queue of size bytes before w, and starts its goroutine; 0
// or less is 1 MiB. Each Write must be one whole record with its newline, as
// from the handlers of this package; w gets one or several at once, in order.
// format is the format of the report of lost records; nil means NewLine.
//
// Close ends the goroutine. It does not close w.
func NewAsync(w io.Writer, size int, format Format) *Async {
	if size <= 0 {
		size = defaultQueue
	}
	if format == nil {
		format = NewLine
	}
	a := &Async{size: size, wake: make(chan struct{}, 1), done: make(chan struct{})}
	d := &drainer{a: a, w: w}
	d.report = format(&d.note, Options{Level: slog.LevelDebug})
	go d.run()
	return a
}

// Write queues one record. It never waits and always accepts the whole record:
// if the queue is full, the record counts as lost. It returns os.ErrClosed
// after Close.
func (a *Async) Write(record []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		a.total++
		return 0, os.ErrClosed
	}
	if len(a.queue)+len(record) > a.size {
		a.lost++
		a.total++
		return len(record), nil
	}
	a.queue = append(a.queue, record...)
	if !a.busy {
		a.busy = true
		a.wake <- struct{}{} // never blocks: it is empty unless busy
	}
	return len(record), nil
}

// WriteShared is Write for records of other processes, of which there may be
// too many: it leaves a quarter of the queue to the process's own records. If
// there is no room, it waits until there is or stop is closed; with a nil stop
// the record is lost.
func (a *Async) WriteShared(record []byte, stop <-chan struct{}) (int, error) {
	for {
		a.mu.Lock()
		full := len(a.queue)+len(record) > a.size-a.size/4
		if !full || a.closed || len(a.queue) == 0 {
			a.mu.Unlock()
			return a.Write(record)
		}
		if stop == nil {
			a.lost++
			a.total++
			a.mu.Unlock()
			return len(record), nil
		}
		if a.room == nil {
			a.room = make(chan struct{})
		}
		room := a.room
		a.mu.Unlock()
		select {
		case <-room:
		case <-stop:
			stop = nil
		}
	}
}

// tellRoom wakes those waiting for room. a.mu is held.
func (a *Async) tellRoom() {
	if a.room != nil {
		close(a.room)
		a.room = nil
	}
}

// Lost returns how many records have been lost so far.
func (a *Async) Lost() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

// Flush waits until all records queued so far have been written or lost, or
// until ctx is done; then its error says how many bytes are still queued.
func (a *Async) Flush(ctx context.Context) error {
	a.mu.Lock()
	if !a.busy {
		a.mu.Unlock()
		return nil
	}
	written := make(chan struct{})
	a.waiting = append(a.waiting, written)
	a.mu.Unlock()
	select {
	case <-written:
		return nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Errorf("log not written, %d bytes queued: %w", len(a.queue), ctx.Err())
}

// Close refuses further records, writes the queued ones and the number of lost
// ones, and ends the goroutine. If ctx is done first, it returns Flush's
// error, and the goroutine ends when its blocked write does. Only the first
// call has an effect.
func (a *Async) Close(ctx context.Context) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	a.tellRoom()
	a.mu.Unlock()

	err := a.Flush(ctx)
	if err != nil {
		a.mu.Lock()
		a.total += countRecords(a.queue)
		a.queue = nil
		a.mu.Unlock()
	}
	close(a.wake) // nobody sends any more: Write checks closed first
	if err != nil {
		return err
	}
	select {
	case <-a.done:
	case <-ctx.Done(): // the report of lost records blocks
	}
	return nil
}

// take swaps the queue for spare and returns the queued records and the number
// of those lost after them. It returns false when nothing is queued, and wakes
// those who wait for that.
func (a *Async) take(spare []byte) (records []byte, lost uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		a.busy = false
		for _, c := range a.waiting {
			close(c)
		}
		a.waiting = nil
		return nil, 0, false
	}
	a.tellRoom()
	records, lost = a.queue, a.lost
	a.queue, a.lost = spare, 0
	return records, lost, true
}

// addTotal counts records that could not be written.
func (a *Async) addTotal(n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total += n
}

// A drainer is the state of an Async's goroutine.
type drainer struct {
	a      *Async
	w      io.Writer
	report slog.Handler // writes into note
	note   bytes.Buffer

	lost uint64 // lost records not reported yet
	err  error  // the last write error, until reported; nil if the queue was full
	torn bool   // the last write ended within a line
	more bool   // the writer below has losses that it does not report yet
}

// run writes what is queued until Close.
func (d *drainer) run() {
	defer close(d.a.done)
	var spare []byte
	for open := true; open; {
		var again <-chan time.Time
		if d.lost > 0 || d.more {
			again = time.After(reportAgain)
		}
		select {
		case _, open = <-d.a.wake:
			spare = d.empty(spare)
		case <-again:
		}
		d.countBelow()
		d.reportLost()
	}
}

// reportAgain is the delay after a failure before the losses are reported
// again, if nothing is logged in the meantime.
const reportAgain = 5 * time.Second

// empty writes until nothing is queued, and returns a buffer to reuse.
func (d *drainer) empty(spare []byte) []byte {
	for {
		records, lost, ok := d.a.take(spare)
		if !ok {
			return spare
		}
		d.drain(records)
		d.lost += lost
		d.countBelow()
		d.reportLost()
		spare = records[:0]
	}
}

// drain writes records in batches. After a failure the rest are lost too: one
// attempt for each filling of the queue is enough.
func (d *drainer) drain(records []byte) {
	if !d.reportLost() {
		d.lose(records, nil)
		return
	}
	for len(records) > 0 {
		n, err := d.write(records[:batchLen(records)])
		records = records[n:]
		if err != nil {
			d.lose(records, err)
			return
		}
	}
}

// reportLost writes how many records were lost, if any. It returns false if
// the write failed.
func (d *drainer) reportLost() bool {
	if d.lost == 0 {
		return true
	}
	if l, ok := d.w.(loser); ok && d.err == nil {
		d.err = l.reason()
	}
	r := slog.NewRecord(time.Now(), slog.LevelWarn, "log records were lost", 0)
	r.AddAttrs(slog.Uint64("lost", d.lost))
	if d.err != nil {
		r.AddAttrs(slog.String("err", d.err.Error()))
	} else {
		r.AddAttrs(slog.String("err", "logged faster than the log can be written"))
	}
	d.note.Reset()
	d.report.Handle(context.Background(), r)
	if _, err := d.write(d.note.Bytes()); err != nil {
		d.err = err
		return false
	}
	d.lost, d.err = 0, nil
	return true
}

// A loser is a writer that may lose records without an error, or delay them.
type loser interface {
	// takeLost returns how many were lost since the last call, and whether
	// there are more that it cannot report yet.
	takeLost() (n uint64, more bool)
	reason() error // for that, or for waiting; nil is none
}

// countBelow adds the losses of the writer below.
func (d *drainer) countBelow() {
	l, ok := d.w.(loser)
	if !ok {
		return
	}
	var n uint64
	if n, d.more = l.takeLost(); n > 0 {
		d.lost += n
		d.a.addTotal(n)
	}
}

// write passes whole records to the writer below and returns how many bytes it
// took.
func (d *drainer) write(records []byte) (int, error) {
	if d.torn {
		// Otherwise the next record would continue the torn one.
		if _, err := d.w.Write(newline); err != nil {
			return 0, withoutPath(err)
		}
		d.torn = false
	}
	n, err := d.w.Write(records)
	n = min(max(n, 0), len(records))
	if err == nil && n < len(records) {
		err = io.ErrShortWrite
	}
	if n > 0 {
		d.torn = records[n-1] != '\n'
	}
	return n, withoutPath(err)
}

// withoutPath removes the file's name from a write error: the report is in
// that file.
func withoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// lose counts records as lost, for the reason err.
func (d *drainer) lose(records []byte, err error) {
	if err != nil {
		d.err = err
	}
	if n := countRecords(records); n > 0 {
		d.lost += n
		d.a.addTotal(n)
	}
}

var newline = []byte{'\n'}

func countRecords(b []byte) uint64 { return uint64(bytes.Count(b, newline)) }

// batchLen returns how many bytes of records to write at once: as many records
// as fit into maxBatch, at least one.
func batchLen(records []byte) int {
	if len(records) <= maxBatch {
		return len(records)
	}
	if i := bytes.LastIndexByte(records[:maxBatch], '\n'); i >= 0 {
		return i + 1
	}
	if i := bytes.IndexByte(records[maxBatch:], '\n'); i >= 0 {
		return maxBatch + i + 1
	}
	return len(records)
}
