package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
)

// conversations is how many random ones each pair of protocols has.
const conversations = 60

// The ways in which a conversation ends.
const (
	clientEndsFirst = iota
	backendEndsFirst
	bothEnd
	clientBreaks
	backendBreaks
	endings
)

// A conversation is what both ends say, and how it ends.
type conversation struct {
	seed     uint64
	up, down int // bytes
	ending   int
	breakAt  int // bytes that the other end has read when one breaks off
	pauses   bool
}

func newConversation(seed uint64) conversation {
	r := rand.New(rand.NewPCG(seed, 0))
	size := func() int { return r.IntN(1 << r.IntN(19)) }
	c := conversation{seed: seed, up: size(), down: size(), ending: r.IntN(endings)}
	switch c.ending {
	case clientBreaks:
		c.up++
		c.breakAt = 1 + r.IntN(c.up)
	case backendBreaks:
		c.down++
		c.breakAt = 1 + r.IntN(c.down)
	}
	return c
}

// says is an endless text of one end.
func (c conversation) says(who byte) io.Reader {
	return rand.NewChaCha8([32]byte{who, byte(c.seed), byte(c.seed >> 8), byte(c.seed >> 16), byte(c.seed >> 24)})
}

// A speaker is one end.
type speaker struct {
	c       stream
	read    int
	readErr error
	broken  bool // its writing has met a break, of which the system tells once
	wrong   bool // it was told something else than what was said
	reached chan struct{}
	ended   chan struct{} // its reading
}

// listenTo reads to the end, and compares. It tells when at bytes have come.
func (s *speaker) listenTo(r io.Reader, at int, pieces *rand.Rand) {
	defer close(s.ended)
	buf, want := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := s.c.Read(buf[:1+pieces.IntN(len(buf))])
		io.ReadFull(r, want[:n])
		s.wrong = s.wrong || !bytes.Equal(buf[:n], want[:n])
		if s.read < at && s.read+n >= at {
			close(s.reached)
		}
		if s.read += n; err != nil {
			s.readErr = err
			return
		}
	}
}

// say writes the first n bytes of r in pieces. With pauses it is silent for long
// enough to be parked, now and then.
func (s *speaker) say(r io.Reader, n int, pieces *rand.Rand, pauses bool) error {
	buf := make([]byte, 64<<10)
	for n > 0 {
		if pauses && pieces.IntN(3) == 0 {
			<-time.After(time.Duration(pieces.IntN(int(3 * proxy.QuietLook))))
		}
		m := min(n, 1+pieces.IntN(len(buf)))
		io.ReadFull(r, buf[:m])
		if _, err := s.c.Write(buf[:m]); err != nil {
			return err
		}
		n -= m
	}
	return nil
}

// hold holds c and returns what is wrong with what the ends were told.
func (c conversation) hold(t *testing.T, client, backend stream) error {
	ends := [2]*speaker{}
	for i, nc := range []stream{client, backend} {
		ends[i] = &speaker{c: nc, reached: make(chan struct{}), ended: make(chan struct{})}
	}
	breaks := [2]bool{c.ending == clientBreaks, c.ending == backendBreaks}
	first := [2]bool{c.ending != backendEndsFirst, c.ending != clientEndsFirst}
	sizes := [2]int{c.up, c.down}
	var all sync.WaitGroup
	for i := range ends {
		s, other := ends[i], ends[1-i]
		all.Go(func() {
			at := 0
			if breaks[1-i] {
				at = c.breakAt
			}
			s.listenTo(c.says(byte(1-i)), at, rand.New(rand.NewPCG(c.seed, uint64(2+i))))
		})
		all.Go(func() {
			if !first[i] {
				<-s.ended
			}
			err := s.say(c.says(byte(i)), sizes[i], rand.New(rand.NewPCG(c.seed, uint64(4+i))), c.pauses)
			s.broken = errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
			switch {
			case breaks[i]:
				<-other.reached
				breakOff(t, s.c)
			case err == nil && !breaks[1-i]:
				s.c.CloseWrite()
			}
		})
	}
	all.Wait()
	for i, s := range ends {
		var ne net.Error
		switch {
		case s.wrong:
			return fmt.Errorf("end %d was told something else than what was said", i)
		case breaks[i]: // it has left
		case breaks[1-i] && (s.readErr == io.EOF && !s.broken || errors.As(s.readErr, &ne) && ne.Timeout()):
			return fmt.Errorf("end %d took a break for %v, after %d of %d bytes", i, s.readErr, s.read, sizes[1-i])
		case !breaks[1-i] && (s.readErr != io.EOF || s.read != sizes[1-i]):
			return fmt.Errorf("end %d: %v after %d of %d bytes", i, s.readErr, s.read, sizes[1-i])
		}
	}
	return nil
}

// Random conversations arrive as they were said, byte by byte, and end as they
// ended: an end as an end, a break as a break, over each pair of protocols.
func TestConversations(t *testing.T) {
	for _, client := range []string{"tcp", "tls"} {
		for _, backend := range []string{"tcp", "tls"} {
			t.Run(client+" to "+backend, func(t *testing.T) {
				l := listen(t, backend)
				f := serve(t, client, handlerTo(t, l), netserver.Config{})
				for range conversations {
					c := newConversation(rand.Uint64N(1 << 32))
					a := f.dial(t)
					b := accept(t, l)
					if err := c.hold(t, a, b); err != nil {
						t.Fatalf("%+v: %v\nrecord: %v", c, err, recordNow(f))
					}
					below(a).Close()
					below(b).Close()
				}
			})
		}
	}
}

// Conversations with pauses, during which the pair waits with no goroutine, arrive
// and end as others do.
func TestConversationsWithPauses(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		t.Parallel()
		l := listen(t, backend)
		f := serve(t, client, handlerTo(t, l), netserver.Config{})
		var all sync.WaitGroup
		for range conversations / 4 {
			c := newConversation(rand.Uint64N(1 << 32))
			c.pauses = true
			if (client == "unix" || backend == "unix") && (c.ending == clientBreaks || c.ending == backendBreaks) {
				c.ending = bothEnd // a UNIX socket knows no break
			}
			a := f.dial(t)
			b := accept(t, l)
			all.Go(func() {
				if err := c.hold(t, a, b); err != nil {
					t.Errorf("%+v: %v\nrecord: %v", c, err, recordNow(f))
				}
				below(a).Close()
				below(b).Close()
			})
		}
		all.Wait()
	})
}

func recordNow(f *front) error {
	select {
	case r := <-f.recs:
		return r.Err
	case <-time.After(patience):
		return errors.New("none")
	}
}
