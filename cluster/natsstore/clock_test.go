//go:build unix

package natsstore

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"netserver/cluster"
)

// Without an answer time goes on from what the server said before, and is never
// that of this machine, whose clock may be wrong.
func TestClockWithoutAnswer(t *testing.T) {
	t.Parallel()
	ctx, s := lasting(t), start(t, "")
	st := s.open(t, "", cluster.StoreOptions{})
	if _, err := st.Set(ctx, "x", nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	l := st.link
	l.close()
	var never clock
	if at, err := never.now(ctx, st, l); err == nil {
		t.Errorf("a server that has never answered says %v", at)
	}
	before := time.Now().Add(-24 * time.Hour)
	old := clock{said: before, at: time.Now().Add(-clockEvery)}
	at, err := old.now(ctx, st, l)
	if d := at.Sub(before); err != nil || d < clockEvery || d > time.Hour {
		t.Errorf("%v after what the server said, %v", d, err)
	}
}

// A message that comes late does not turn the clock back.
func TestClockHears(t *testing.T) {
	begin := time.Now()
	for _, tt := range []struct{ said, heard, want time.Duration }{
		{0, -time.Hour, 0}, {0, time.Minute, time.Minute}, {-time.Hour, -time.Minute, -time.Minute},
	} {
		c := clock{said: begin.Add(tt.said - 20*time.Second), at: begin.Add(-20 * time.Second)}
		c.hear(begin.Add(tt.heard))
		now, err := c.now(context.Background(), nil, nil)
		if d := now.Sub(begin.Add(tt.want)); err != nil || d < 0 || d > 5*time.Second {
			t.Errorf("%v, and %v heard: %v, %v; want %v", tt.said, tt.heard, now.Sub(begin), err, tt.want)
		}
	}
	var c clock
	c.hear(begin)
	if c.said != begin {
		t.Errorf("the first that is heard is not taken: %v", c.said)
	}
}

// A bucket that would end values by itself is refused; one that was restored
// from a backup ends a Watch, which tells of everything again.
func TestOddBuckets(t *testing.T) {
	t.Parallel()
	ctx, s := lasting(t), start(t, "")
	st := s.open(t, "", cluster.StoreOptions{})
	if _, err := st.Set(ctx, "x", nil, 0); err != nil {
		t.Fatal(err)
	}
	info, err := st.link.stream.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{s: st, l: st.link, synced: true, heard: time.Now(), gc: time.Now().Add(time.Hour), made: info.Created, seq: info.State.LastSeq}
	if err := w.look(ctx); err != nil {
		t.Error(err)
	}
	if w.seq++; w.look(ctx) == nil {
		t.Error("a bucket without its last message is no error")
	}
	if _, err := st.link.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "other", TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	other := s.open(t, "", cluster.StoreOptions{Namespace: "other"})
	if _, err := other.Set(ctx, "x", nil, 0); err == nil {
		t.Error("a bucket with an age limit is taken")
	} else {
		t.Log(err)
	}
}
