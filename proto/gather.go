package proto

import (
	"errors"
	"sync"
)

// smallWrite is as much as crypto/tls always writes as one record: it begins a
// connection with records that fit into one TCP segment each.
const smallWrite = 1 << 10

// gatherSize is the size of a buffer for the records of one Write: 64 KiB,
// which is as much as a Conn writes at once, in records of every size.
const gatherSize = 72 << 10

// maxGathered bounds what one Write may announce.
const maxGathered = 1 << 20

// recordOverhead is what TLS 1.3 adds to the bytes in a record, and about what
// TLS 1.2 does.
const recordOverhead = 5 + 1 + 16

var gatherBuffers = sync.Pool{New: func() any { b := make([]byte, gatherSize); return &b }}

// gathered are the records of a Write that wait for the last one, so that all
// go out in one system call. crypto/tls makes one for each: with blocks of 256
// KiB, proxied, that was a quarter of all time.
type gathered struct {
	mu      sync.Mutex
	buf     *[]byte // from gatherBuffers while n > 0
	n       int32   // bytes in buf
	left    int32   // bytes of these Writes whose records have not come, or about that
	writers int32   // Writes that go on
	broken  bool    // a part of a record may be missing on the wire
}

// errBroken ends a connection that has sent a part of a record.
var errBroken = errors.New("TLS: an earlier write has failed")

// begin is called before a Write of size bytes, at most maxGathered, and end
// after it.
func (g *gathered) begin(size int) {
	g.mu.Lock()
	g.writers++
	g.left += int32(size)
	g.mu.Unlock()
}

// end sends what is still here, where the last record was taken for another.
func (g *gathered) end(a *ahead) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.writers--; g.writers == 0 {
		g.left = 0
	}
	if g.n == 0 {
		return nil
	}
	return g.send(a)
}

// write takes records. It keeps them while more of the same Write are to come.
func (g *gathered) write(a *ahead, b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken {
		return 0, errBroken
	}
	last := g.left <= 0
	if !last {
		g.left -= int32(len(b) - recordOverhead)
		last = g.left <= 0
	}
	if g.n == 0 && (last || len(b) > gatherSize) {
		return a.Conn.Write(b) // crypto/tls remembers its failure
	}
	if g.buf == nil {
		g.buf = gatherBuffers.Get().(*[]byte)
	}
	for rest := b; len(rest) > 0; {
		m := copy((*g.buf)[g.n:], rest)
		g.n += int32(m)
		if rest = rest[m:]; len(rest) > 0 {
			if err := g.send(a); err != nil {
				return 0, err
			}
			g.buf = gatherBuffers.Get().(*[]byte)
		}
	}
	if last {
		if err := g.send(a); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// send sends what has been kept.
func (g *gathered) send(a *ahead) error {
	_, err := a.Conn.Write((*g.buf)[:g.n])
	gatherBuffers.Put(g.buf)
	g.buf, g.n = nil, 0
	if err != nil {
		g.broken = true
	}
	return err
}
