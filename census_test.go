package netserver

import (
	"testing"
	"testing/synctest"
	"time"
)

// Few clients are counted each time, many not at once again; the bytes of none
// are lost.
func TestCensusOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := &clients{ports: 1}
		cs.init(t.Context())
		l := new(listening)
		var list []*Conn
		add := func(n int) {
			for range n {
				c := &Conn{id: uint64(len(list)), l: l}
				c.traffic.in.Add(10)
				list = append(list, c)
				cs.add(c)
			}
		}
		check := func(clients, bytes int) {
			t.Helper()
			got, sum := cs.census(1)[0], 0
			for _, n := range got.stages {
				sum += n
			}
			if sum != clients || got.in != uint64(bytes) {
				t.Errorf("%d clients with %d bytes, not %d with %d", sum, got.in, clients, bytes)
			}
		}
		check(0, 0)
		add(fewClients - 1)
		check(fewClients-1, 10*(fewClients-1))
		add(fewClients + 1) // 2000: 0.4 seconds
		check(fewClients-1, 10*(fewClients-1))
		time.Sleep(400 * time.Millisecond)
		check(2000, 20000)
		add(1)
		time.Sleep(399 * time.Millisecond)
		check(2000, 20000)
		time.Sleep(2 * time.Millisecond)
		check(2001, 20010)
		for _, c := range list {
			cs.remove(c)
		}
		check(0, 20010)
	})
}
