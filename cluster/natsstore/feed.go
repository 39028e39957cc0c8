package natsstore

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"netserver/cluster"
)

// What a Watch may leave lying. A server that tells more has it dropped; the
// library asks again for what is missing from there on.
const (
	feedRoom  = 16       // messages that were taken from the library, each of a value at most
	feedBytes = 16 << 20 // those that it holds
	feedMost  = 1 << 15
)

// An update is a message about a key.
type update struct {
	name    string // of the key, as the bucket has it
	seq     uint64
	created time.Time
	gone    bool
	data    []byte
}

// A feed passes on the last message of each key of a bucket, nil when all that
// were there have been told, and then each that comes. The library's own watch
// does the same, and has no bound.
type feed struct {
	prefix  string
	updates chan *update

	mu   sync.Mutex
	left uint64 // messages until all that were there have been told
	told bool
}

// feed begins one, which ends with ctx or the connection: then its channel is
// closed, which must be read until that.
func (s *store) feed(ctx context.Context, l *link) (<-chan *update, error) {
	js, err := l.nc.JetStream()
	if err != nil {
		return nil, err
	}
	f := &feed{prefix: s.subject(""), updates: make(chan *update, feedRoom)}
	f.mu.Lock() // until it is known how many there are
	defer f.mu.Unlock()
	sub, err := js.Subscribe(f.prefix+">", f.take, nats.BindStream("KV_"+s.o.Namespace), nats.OrderedConsumer(), nats.DeliverLastPerSubject(), nats.Context(ctx))
	if err != nil {
		return nil, err
	}
	sub.SetClosedHandler(func(string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		close(f.updates)
	})
	if err = sub.SetPendingLimits(feedMost, feedBytes); err == nil {
		f.left, err = sub.InitialConsumerPending()
	}
	if err != nil {
		go drain(f.updates)
		return nil, err
	}
	if f.left == 0 {
		f.told = true
		f.updates <- nil
	}
	return f.updates, nil
}

// take takes a message from the library.
func (f *feed) take(m *nats.Msg) {
	name, ok := strings.CutPrefix(m.Subject, f.prefix)
	meta, err := m.Metadata()
	if err != nil || !ok {
		return
	}
	u := &update{name: name, seq: meta.Sequence.Stream, created: meta.Timestamp, gone: isGone(m.Header), data: m.Data}
	if len(u.data) > headSize+cluster.MaxValue {
		u.data = nil // which is no value either
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.updates <- u
	if f.told {
		return
	}
	if f.left--; f.left == 0 || meta.NumPending == 0 {
		f.told = true
		f.updates <- nil
	}
}

// isGone reports whether a message says that its key was deleted.
func isGone(h nats.Header) bool {
	switch h.Get("KV-Operation") {
	case "DEL", "PURGE":
		return true
	case "":
		return h.Get("Nats-Marker-Reason") != "" // the server has done it
	}
	return false
}
