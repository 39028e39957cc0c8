package supervisor

import (
	"testing"

	"netserver/daemon/internal/wire"
)

// What a worker says of OCSP responses is bounded, and no more of it is carried
// out at a time than a few.
func TestStaplesOfWorkers(t *testing.T) {
	c, asked := keptRig(t)
	s := c.s
	c.certKeys.Store(certKeys(t))
	c.useStaples()
	leaf := make([]byte, 32)
	for range 3 * staplesAtOnce {
		if err := s.hearStaple(c.proc, wire.Message{Op: wire.OpStaple, Have: leaf, Data: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	for range staplesAtOnce {
		if q := asked(); q.Op != wire.OpKeep || q.Keep.Verb != wire.KeepSet || q.Keep.Key != "ocsp/00000000000000000000000000000000" {
			t.Errorf("%+v", q)
		}
	}
	c.s.do(func() {
		if len(c.keeps) > staplesAtOnce+2 { // those of keptRig
			t.Errorf("%d calls at once", len(c.keeps))
		}
		c.endKeeps()
	})
}
