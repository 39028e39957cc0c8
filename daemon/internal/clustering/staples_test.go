package clustering

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"netserver/cluster"
	"netserver/cluster/storetest"
	"netserver/daemon/internal/wire"
)

// OCSP responses are sealed in the store, for the certificate that they are of,
// and bounded in size and number; without the store there are none.
func TestStaples(t *testing.T) {
	keys := func(secret string) func() *cluster.Keys {
		k, err := cluster.ParseKeysFor(cluster.PurposeCertificates, fmt.Appendf(nil, "%x\n", sha256.Sum256([]byte(secret))))
		if err != nil {
			t.Fatal(err)
		}
		return func() *cluster.Keys { return k }
	}
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		leaf, other := [32]byte{1}, [32]byte{2}
		var none Staples
		if none.Put(leaf, []byte("x")); none.Get(t.Context(), leaf) != nil {
			t.Error("without a store")
		}
		node := func(key string) (*Staples, *storetest.MemoryClient) {
			s, c := new(Staples), m.Client()
			s.Use(func() StapleStore { return c }, keys(key), "x")
			return s, c
		}
		a, _ := node("k")
		b, atB := node("k")
		stranger, _ := node("l")
		a.Put(leaf, []byte("response"))
		if got := b.Get(t.Context(), leaf); string(got) != "response" {
			t.Errorf("%q", got)
		}
		if b.Get(t.Context(), other) != nil || stranger.Get(t.Context(), leaf) != nil {
			t.Error("of another certificate, or cluster")
		}
		v, err := m.Client().Get(t.Context(), stapleKey(leaf))
		if err != nil || bytes.Contains(v.Data, []byte("response")) {
			t.Errorf("not sealed: %v", err)
		}
		m.Write(stapleKey(other), v.Data)
		if b.Get(t.Context(), other) != nil {
			t.Error("that of another certificate")
		}
		m.Write(stapleKey(other), make([]byte, cluster.MaxValue+1))
		if b.Get(t.Context(), other) != nil {
			t.Error("too large")
		}
		a.Put(other, make([]byte, wire.MaxStaple+1))
		began := time.Now()
		atB.SetFaults(storetest.Faults{Down: true})
		if b.Get(t.Context(), leaf) != nil || time.Since(began) > stapleTime {
			t.Errorf("the store is waited for: %v", time.Since(began))
		}
		began = time.Now()
		if b.Get(t.Context(), leaf) != nil || time.Since(began) != 0 {
			t.Errorf("it is waited for again: %v", time.Since(began))
		}
		time.Sleep(staplePause)
		time.AfterFunc(time.Second, func() { atB.SetFaults(storetest.Faults{}) })
		atB.SetFaults(storetest.Faults{Down: true})
		if b.Get(t.Context(), leaf) == nil {
			t.Error("a store that answers soon is not waited for")
		}
		writes := m.Writes()
		for i := range 2 * maxStaples {
			a.Put([32]byte{3, byte(i), byte(i >> 8)}, []byte("x"))
		}
		if n := m.Writes() - writes; n > maxStaples {
			t.Errorf("%d certificates", n)
		}
		a.Put(leaf, []byte("the next"))
		if got := b.Get(t.Context(), leaf); string(got) != "the next" {
			t.Errorf("%q", got)
		}
	})
}
