package sock

import (
	"math/bits"
	"sync"
)

// Packets are held in buffers of these sizes, so that a small one does not
// occupy a large one.
const (
	minBufferBits = 9  // 512 bytes
	maxBufferBits = 16 // 64 KiB
)

// buffers is a pool of packet buffers. The zero value works. The garbage
// collector frees unused ones.
type buffers struct {
	classes [maxBufferBits - minBufferBits + 1]sync.Pool // of *[]byte with the length 1 << (minBufferBits + i)
}

func bufferClass(n int) int {
	if n <= 1<<minBufferBits {
		return 0
	}
	return bits.Len(uint(n-1)) - minBufferBits
}

// get returns a buffer of at least n bytes, at most 1 << maxBufferBits.
func (b *buffers) get(n int) *[]byte {
	class := bufferClass(n)
	if v := b.classes[class].Get(); v != nil {
		return v.(*[]byte)
	}
	buf := make([]byte, 1<<(class+minBufferBits))
	return &buf
}

// put returns a buffer from get to the pool; the caller must not use it
// afterwards.
func (b *buffers) put(buf *[]byte) { b.classes[bufferClass(len(*buf))].Put(buf) }
