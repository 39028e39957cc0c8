package proc

import "testing"

func TestSpareGarbage(t *testing.T) {
	for memory, want := range map[int64]int64{
		0:         32 << 20, // not known
		512 << 20: 32 << 20,
		2 << 30:   64 << 20,
		8 << 30:   128 << 20,
		1 << 40:   128 << 20,
	} {
		if n := spareGarbage(memory); n != want {
			t.Errorf("with %d MiB of memory: %d MiB, want %d", memory>>20, n>>20, want>>20)
		}
	}
}
