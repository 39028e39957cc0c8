package netserver

import (
	"testing"
	"unsafe"
)

// A Conn stays within its size class: every client has one, also a client that
// has said nothing yet. The allocator adds a word to what holds pointers and
// has more than 512 bytes.
func TestConnSize(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64-bit systems")
	}
	if n := unsafe.Sizeof(Conn{}); n > 640-8 {
		t.Errorf("a Conn has %d bytes; with more than 632 it takes 704", n)
	}
	if n := unsafe.Sizeof(trace{}); n > 64 {
		t.Errorf("a trace has %d bytes; with more than 64 it takes 80", n)
	}
}
