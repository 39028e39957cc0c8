package natsstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"netserver/cluster"
)

const (
	magic      = "NSC1"
	headSize   = len(magic) + 16 // the revision, and the ttl in milliseconds
	maxHeaders = 1024            // of a message
	attempts   = 100             // if others keep writing the same key
	opHeader   = "KV-Operation"  // of a message that says that its key was deleted
)

var names = strings.NewReplacer(".", "=", "/", ".")
var keys = strings.NewReplacer("=", ".", ".", "/")

func (s *store) subject(key string) string { return "$KV." + s.o.Namespace + "." + names.Replace(key) }

// An entry is the last message of a key.
type entry struct {
	seq     uint64 // of the message; 0: there is none
	created time.Time
	gone    bool  // it says that the key was deleted
	bad     error // why it is no value: ErrValue
	ttl     time.Duration
	cluster.Value
}

// parse reads a message.
func parseEntry(key string, seq uint64, created time.Time, gone bool, data []byte) *entry {
	e := &entry{seq: seq, created: created, gone: gone}
	if gone {
		return e
	}
	e.bad = fmt.Errorf("%w: %s is too large or was written by something else", cluster.ErrValue, key)
	if len(data) < headSize || len(data) > headSize+cluster.MaxValue || string(data[:len(magic)]) != magic {
		return e
	}
	rev, ms := binary.BigEndian.Uint64(data[len(magic):]), binary.BigEndian.Uint64(data[len(magic)+8:])
	if rev == 0 || ms > uint64(cluster.MaxTTL/time.Millisecond) {
		return e
	}
	e.bad, e.ttl = nil, time.Duration(ms)*time.Millisecond
	e.Value = cluster.Value{Data: data[headSize:], Rev: rev}
	return e
}

// there reports whether the message says that its key is there, and until when;
// zero is for ever.
func (s *store) there(ctx context.Context, l *link, key string, e *entry) (bool, time.Time, error) {
	if e.seq == 0 || e.gone {
		return false, time.Time{}, nil
	}
	if e.bad != nil || e.ttl == 0 {
		return true, time.Time{}, nil
	}
	now, err := s.clock.now(ctx, s, l)
	if err != nil {
		return false, time.Time{}, err
	}
	until := s.ends.At(key, e.Rev, e.ttl, now.Sub(e.created))
	return time.Now().Before(until), until, nil
}

// begin returns the context of a call.
func (s *store) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if s.shut.Load() {
		return nil, nil, cluster.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	return ctx, cancel, nil
}

// call runs f with the connection, within the time of a call.
func (s *store) call(ctx context.Context, f func(context.Context, *link) error) error {
	limited, cancel, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	l, err := s.connected(limited)
	if err != nil {
		return s.told(ctx, nil, err)
	}
	stop := context.AfterFunc(l.ctx, cancel)
	defer stop()
	return s.told(ctx, l, f(limited, l))
}

// last returns the last message of a key.
func (s *store) last(ctx context.Context, l *link, key string) (*entry, error) {
	var m *jetstream.RawStreamMsg
	err := answered(ctx, func() (err error) {
		m, err = l.stream.GetLastMsgForSubject(ctx, s.subject(key))
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return &entry{}, nil
	}
	if err != nil {
		return nil, err
	}
	return parseEntry(key, m.Sequence, m.Time, deletes(m.Header), m.Data), nil
}

// answered calls f again for half a second while nobody listens for the bucket,
// so that nothing has happened: it is just being made, or gets another leader.
func answered(ctx context.Context, f func() error) error {
	for range 10 {
		if err := f(); !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrNoStreamResponse) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return f()
}

func deletes(h nats.Header) bool {
	return h.Get(opHeader) != "" || h.Get(jetstream.MarkerReasonHeader) != ""
}

// Get implements cluster.Store.
func (s *store) Get(ctx context.Context, key string) (cluster.Value, error) {
	if err := cluster.CheckKey(key); err != nil {
		return cluster.Value{}, err
	}
	var found cluster.Value
	err := s.call(ctx, func(ctx context.Context, l *link) error {
		e, err := s.last(ctx, l, key)
		if err != nil {
			return err
		}
		there, _, err := s.there(ctx, l, key, e)
		switch {
		case err != nil:
			return err
		case !there:
			return fmt.Errorf("%s: %w", key, cluster.ErrNotFound)
		case e.bad != nil:
			return e.bad
		}
		found = e.Value
		return nil
	})
	return found, err
}

// Put implements cluster.Store.
func (s *store) Put(ctx context.Context, key string, data []byte, rev uint64, ttl time.Duration) (uint64, error) {
	return s.write(ctx, key, data, ttl, &rev)
}

// Set implements cluster.Store.
func (s *store) Set(ctx context.Context, key string, data []byte, ttl time.Duration) (uint64, error) {
	return s.write(ctx, key, data, ttl, nil)
}

func (s *store) write(ctx context.Context, key string, data []byte, ttl time.Duration, there *uint64) (uint64, error) {
	if err := cluster.CheckWrite(key, data, ttl); err != nil {
		return 0, err
	}
	// Revisions are random: the numbers of messages come again when the bucket
	// was lost or restored.
	var random [8]byte
	rand.Read(random[:])
	rev := max(1, binary.BigEndian.Uint64(random[:]))
	ms := (ttl + time.Millisecond - 1) / time.Millisecond
	m := make([]byte, 0, headSize+len(data))
	m = binary.BigEndian.AppendUint64(append(m, magic...), rev)
	m = append(binary.BigEndian.AppendUint64(m, uint64(ms)), data...)
	err := s.call(ctx, func(ctx context.Context, l *link) error {
		if there == nil {
			return s.publish(ctx, l, key, m, nil, nil)
		}
		return s.replace(ctx, l, key, m, nil, *there)
	})
	if err != nil {
		return 0, err
	}
	if ttl > 0 {
		s.ends.At(key, rev, ttl, 0)
	}
	return rev, nil
}

// Delete implements cluster.Store.
func (s *store) Delete(ctx context.Context, key string, rev uint64) error {
	if err := cluster.CheckKey(key); err != nil {
		return err
	}
	h := nats.Header{opHeader: {"DEL"}}
	return s.call(ctx, func(ctx context.Context, l *link) error {
		if rev != 0 {
			return s.replace(ctx, l, key, nil, h, rev)
		}
		e, err := s.last(ctx, l, key)
		if err != nil || e.seq == 0 || e.gone {
			return err
		}
		return s.publish(ctx, l, key, nil, h, nil)
	})
}

// replace writes a message if the key's revision is rev; 0 is not there.
func (s *store) replace(ctx context.Context, l *link, key string, data []byte, h nats.Header, rev uint64) error {
	changed := fmt.Errorf("%s: %w", key, cluster.ErrChanged)
	for range attempts {
		e, err := s.last(ctx, l, key)
		if err != nil {
			return err
		}
		there, _, err := s.there(ctx, l, key, e)
		if err != nil {
			return err
		}
		var is uint64
		if there {
			if e.bad != nil {
				return changed
			}
			is = e.Rev
		}
		if is != rev {
			return changed
		}
		err = s.publish(ctx, l, key, data, h, &e.seq)
		if rev == 0 && errors.Is(err, cluster.ErrChanged) {
			continue // what was over may have been removed
		}
		return err
	}
	return changed
}

// publish writes a message, if there is none after seq.
func (s *store) publish(ctx context.Context, l *link, key string, data []byte, h nats.Header, seq *uint64) error {
	m := &nats.Msg{Subject: s.subject(key), Data: data, Header: nats.Header{}}
	for k, v := range h {
		m.Header[k] = v
	}
	if seq != nil {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(*seq, 10))
	}
	err := answered(ctx, func() error {
		_, err := l.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
		return err
	})
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		return fmt.Errorf("%s: %w", key, cluster.ErrChanged)
	}
	return err
}
