package sock

import (
	"math/bits"
	"sync"
)

// Packets wait in buffers of these sizes, so that a small one does not hold
// memory for a large one.
const (
	minBufferBits = 9  // 512 bytes
	maxBufferBits = 16 // 64 KiB
)

// buffers hands out and takes back packet buffers. The zero value works. What
// lies unused in it is left to the garbage collector.
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

// put takes back a buffer that get gave, which nobody may use any more.
func (b *buffers) put(buf *[]byte) { b.classes[bufferClass(len(*buf))].Put(buf) }
