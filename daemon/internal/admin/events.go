package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"netserver/internal/control"
)

const (
	tickEvery = time.Second
	// tickQueue is how many ticks wait for a stream that does not take them; one
	// more ends it. They are shared by all streams.
	tickQueue = 2
	// maxStreams is how many streams there may be, of all connections together.
	maxStreams = 24
)

// events sends the same ticks to all streams, and makes none without one.
type events struct {
	make func(context.Context) []byte

	mu      sync.Mutex
	streams map[chan []byte]struct{}
	stop    context.CancelFunc // ends the ticks; nil if there are none
	closed  bool
}

func (e *events) init(tick func(context.Context) []byte) {
	e.make, e.streams = tick, make(map[chan []byte]struct{})
}

// join adds a stream; nil if there is no place for it.
func (e *events) join() chan []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.streams) >= maxStreams {
		return nil
	}
	c := make(chan []byte, tickQueue)
	e.streams[c] = struct{}{}
	if e.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		e.stop = stop
		go e.run(ctx)
	}
	return c
}

// leave removes a stream.
func (e *events) leave(c chan []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.remove(c)
}

// remove removes a stream and closes its channel; it is called with mu held.
func (e *events) remove(c chan []byte) {
	if _, ok := e.streams[c]; !ok {
		return
	}
	delete(e.streams, c)
	close(c)
	if len(e.streams) == 0 && e.stop != nil {
		e.stop()
		e.stop = nil
	}
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for c := range e.streams {
		e.remove(c)
	}
}

// run makes ticks until ctx ends.
func (e *events) run(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		if b := e.make(ctx); ctx.Err() == nil {
			e.send(b)
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// send gives b to all streams, and ends those that have not taken the last ones.
func (e *events) send(b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.streams {
		select {
		case c <- b:
		default:
			e.remove(c)
		}
	}
}

// tick makes one event. What the server does not answer is null.
func (f *Front) tick(ctx context.Context) []byte {
	tick := []byte("event: tick\ndata: {")
	for _, verb := range []string{"status", "metrics", "targets", "certs", "penalties", "limits"} {
		q := control.Request{Verb: verb}
		ask := func(ctx context.Context) ([]byte, error) { return f.answerTo(ctx, &q) }
		from, age := &f.cache, cacheTime
		if f.isSlow(verb) {
			from, age = &f.slow, slowTime
		}
		b, err := from.get(ctx, verb, age, ask)
		if verb == control.VerbTargets {
			// No text has these: its quotation marks would be escaped.
			f.noTargets.Store(err == nil && bytes.Contains(b, []byte(`"targets":[]`)) && bytes.Contains(b, []byte(`"silent":[]`)))
		}
		if err != nil {
			b = []byte("null")
		}
		tick = fmt.Appendf(tick, "%q:%s,", verb, oneLine(b))
	}
	return fmt.Appendf(tick, "\"time\":%.3f}\n\n", float64(time.Now().UnixMilli())/1000)
}

// isSlow reports whether an event may have an older answer of a verb: it takes a
// look at every client, and changes slowly, or there is nothing to tell.
func (f *Front) isSlow(verb string) bool {
	switch verb {
	case control.VerbLimits, control.VerbPenalties, control.VerbCerts:
		return true
	case control.VerbTargets:
		return f.noTargets.Load()
	}
	return false
}

// oneLine returns JSON without line ends, which would end the data of an event.
// What the server answers has one at its end at most.
func oneLine(b []byte) []byte {
	b = bytes.TrimSpace(b)
	if !bytes.ContainsAny(b, "\r\n") {
		return b
	}
	var line bytes.Buffer
	if json.Compact(&line, b) != nil {
		return []byte("null")
	}
	return line.Bytes()
}

// stream answers /events with a tick a second. A client that takes none for a
// while is disconnected; an EventSource comes again by itself.
func (f *Front) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return // it would hold a place and take no tick, and so never be too slow
	}
	c := f.events.join()
	if c == nil {
		w.Header().Set("Retry-After", "5")
		writeErrors(w, http.StatusServiceUnavailable, "too many streams of events; close a page")
		return
	}
	defer f.events.leave(c)
	rc := http.NewResponseController(w)
	w.Header().Set("X-Accel-Buffering", "no") // of a proxy before us
	for {
		select {
		case b, ok := <-c:
			if !ok {
				return
			}
			rc.SetWriteDeadline(time.Now().Add(requestTime))
			if _, err := w.Write(b); err != nil {
				return
			}
			if err := rc.Flush(); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
