//go:build unix

package proto

import (
	"bytes"
	"io"
	"testing"

	"netserver/tlsparams"
)

// What TryWrite holds back while the client takes nothing arrives whole and in
// order, whether TryWrite or Write goes on.
func TestHeldBytesArrive(t *testing.T) {
	for _, by := range []string{"TryWrite", "Write"} {
		t.Run(by, func(t *testing.T) {
			srv, tc, _ := pairTLS(t, tlsparams.Params{})
			var want []byte
			block := pattern(16 << 10)
			// The kernel may find room a moment later, when what is held goes out
			// and more is taken; in the end nothing is taken while something is
			// held.
			for i := 0; ; i++ {
				if i > 10000 {
					t.Fatal("the client's socket takes everything, or bytes are taken while others are held")
				}
				n, err := srv.TryWrite(block)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, block[:n]...)
				if n == 0 && srv.Holds() > 0 {
					break
				}
			}
			held := srv.Holds()
			got := make(chan []byte, 1)
			go func() { b, _ := io.ReadAll(tc); got <- b }()
			if by == "TryWrite" {
				for srv.Holds() > 0 {
					if _, err := srv.TryWrite(nil); err != nil {
						t.Fatal(err)
					}
				}
			} else {
				last := []byte("the last words")
				if n, err := srv.Write(last); n != len(last) || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
				want = append(want, last...)
			}
			if srv.Holds() > 0 {
				t.Errorf("%d bytes are still held of %d", srv.Holds(), held)
			}
			srv.CloseWrite()
			if b := <-got; !bytes.Equal(b, want) {
				t.Errorf("%d bytes arrive of %d, or others", len(b), len(want))
			}
		})
	}
}
