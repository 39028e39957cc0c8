package relay_test

import (
	"io"
	"net"
	"testing"
	"time"

	"netserver/internal/relay"
)

// A joined is a relay from a client to another end, and those who hold the far
// ends: bytes that go in at from come out at to.
type joined struct {
	from, to net.Conn
	done     chan result
}

func join(tb testing.TB, kind string) joined {
	srv, peer := pair(tb, kind)
	far, to := pair(tb, kind)
	for _, c := range []net.Conn{peer, to} {
		c.SetDeadline(time.Time{})
	}
	c := &fakeClient{Conn: srv}
	end := c.end(0)
	return joined{peer, to, start(relay.FromClient(end), relay.To(far, end))}
}

func (j joined) pass(tb testing.TB, block []byte) {
	if _, err := j.from.Write(block); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.ReadFull(j.to, block); err != nil {
		tb.Fatal(err)
	}
}

func (j joined) end(tb testing.TB) {
	j.from.Close()
	if r := <-j.done; r.err != nil {
		tb.Error(r.err)
	}
}

// What passes allocates nothing, whether the kernel moves it or a buffer does.
func TestAllocsOfTheRelay(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector pools forget some of what they hold")
	}
	for _, kind := range []string{"tcp", "unix", "pipe"} {
		j := join(t, kind)
		block := make([]byte, 4<<10)
		j.pass(t, block)
		if n := testing.AllocsPerRun(200, func() { j.pass(t, block) }); n >= 1 {
			t.Errorf("%s: %v allocations a block", kind, n)
		}
		j.end(t)
	}
}

func BenchmarkCopy(b *testing.B) {
	for _, kind := range []string{"tcp", "unix", "pipe"} {
		b.Run(kind, func(b *testing.B) {
			j := join(b, kind)
			block := make([]byte, 16<<10)
			b.SetBytes(int64(len(block)))
			b.ReportAllocs()
			for b.Loop() {
				j.pass(b, block)
			}
			j.end(b)
		})
	}
}
