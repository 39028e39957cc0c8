package hello

import (
	"bytes"
	"testing"
)

// inRecords puts a message into records of n bytes.
func inRecords(message []byte, n int) (b []byte) {
	for len(message) > 0 {
		m := min(n, len(message))
		b = append(b, recordHandshake, 3, 1, byte(m>>8), byte(m))
		b = append(b, message[:m]...)
		message = message[m:]
	}
	return b
}

func helloOf(size int) []byte {
	return append([]byte{messageHello, byte(size >> 16), byte(size >> 8), byte(size)}, bytes.Repeat([]byte{'x'}, size)...)
}

// However a hello is cut into records, each number of its bytes wants more, and
// no more than there is.
func TestMessage(t *testing.T) {
	for _, size := range []int{0, 1, 100, 5000} {
		message := helloOf(size)
		for _, n := range []int{3, 4, 7, 100, 16 << 10} {
			if n == 3 && size == 5000 {
				continue // longer than Longest, with its headers: below
			}
			b := inRecords(message, n)
			for have := 0; have < len(b); have += 1 + have/200 {
				if m, need := Message(b[:have]); m != nil && need == 0 || need <= have || need > len(b) {
					t.Fatalf("%d bytes in records of %d, %d of them: %d bytes, %d needed of %d", size, n, have, len(m), need, len(b))
				}
			}
			got, need := Message(append(b, "more"...))
			if need != 0 || !bytes.Equal(got, message) {
				t.Errorf("%d bytes in records of %d: %d bytes, %d needed", size, n, len(got), need)
			}
		}
	}
}

func TestMessageThatIsNone(t *testing.T) {
	for name, b := range map[string][]byte{
		"another record":       {23, 3, 1, 0, 1, 1},
		"a letter":             {'S'},
		"half a header":        {22, 2},
		"another version":      {22, 2, 0, 0, 1, 1},
		"an empty record":      {22, 3, 1, 0, 0},
		"an oversize record":   {22, 3, 1, 0x40, 1},
		"another message":      {22, 3, 1, 0, 4, 2, 0, 0, 0},
		"too long a message":   inRecords(helloOf(Longest), 1<<14)[:9],
		"alert after half":     append(inRecords(helloOf(10)[:6], 100), 21, 3, 3, 0, 2, 1, 0),
		"too many records":     inRecords(helloOf(5000), 1),
		"data that looks like": {22, 3, 1, 0, 1, 0x16},
	} {
		if m, need := Message(b); m != nil && need == 0 || need != 0 {
			t.Errorf("%s: %d bytes, %d needed", name, len(m), need)
		}
	}
}
