package hello

import (
	"testing"
	"time"
)

// A waiting is one client whose hello is waited for again and again.
type waiting struct {
	*guest
	server, client end
	room           *Room
	buf            [8]byte
}

func newWaiting(tb testing.TB) *waiting {
	room, err := NewRoom()
	if err != nil {
		tb.Fatal(err)
	}
	go room.Run()
	tb.Cleanup(room.Close)
	w := &waiting{guest: newGuest(1), room: room}
	w.first, w.rest = time.Hour, time.Hour
	w.server, w.client = pair(tb, "tcp")
	return w
}

// once waits for a hello from its beginning to its end: an empty look, a wait,
// the client's hello, and the look that finds it whole.
func (w *waiting) once(tb testing.TB) {
	state := Peek(w.server, Short)
	if state.Err != nil || state.Missing == 0 || !w.room.Enter(w, w.server, state) {
		tb.Fatal("no wait:", state)
	}
	w.client.Write(whole)
	if err := <-w.heard; err != nil {
		tb.Fatal(err)
	}
	if _, err := w.server.Read(w.buf[:]); err != nil {
		tb.Fatal(err)
	}
}

func TestAllocsOfTheHelloWait(t *testing.T) {
	w := newWaiting(t)
	w.once(t)
	const want = 3 // its place in the room, and one for each of two changes of its socket
	if n := testing.AllocsPerRun(500, func() { w.once(t) }); n > want {
		t.Errorf("%v allocations, want %d", n, want)
	}
}

func BenchmarkWait(b *testing.B) {
	w := newWaiting(b)
	b.ReportAllocs()
	for b.Loop() {
		w.once(b)
	}
}

// BenchmarkPeek is the look at a hello that is there, as most are.
func BenchmarkPeek(b *testing.B) {
	server, client := pair(b, "tcp")
	client.Write(whole)
	for Peek(server, Short).Missing > 0 {
	}
	b.ReportAllocs()
	for b.Loop() {
		if s := Peek(server, Short); s.Missing != 0 || s.Err != nil {
			b.Fatal(s)
		}
	}
}

func TestAllocsOfPeek(t *testing.T) {
	server, client := pair(t, "tcp")
	client.Write(whole)
	for Peek(server, Short).Missing > 0 {
	}
	if n := testing.AllocsPerRun(500, func() { Peek(server, Short) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
