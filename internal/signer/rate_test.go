package signer

import (
	"crypto"
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	p := pace{rate: 100}
	now := time.Unix(1000, 0)
	for i := range 10 {
		if d := p.spend(now, 1); d != 0 {
			t.Fatalf("signature %d of the first ten waits %v", i, d)
		}
	}
	if d := p.spend(now, 1); d != 10*time.Millisecond {
		t.Errorf("the eleventh waits %v", d)
	}
	now = now.Add(time.Hour)
	if d := p.spend(now, 10); d != 0 {
		t.Errorf("after a rest: %v", d)
	}
	if d := p.spend(now, refusedCost); d != 100*time.Millisecond {
		t.Errorf("a refused one costs %v", d)
	}
}

// TestRateIsPerProcess: one process asks for all it can while another shakes
// hands now and then.
func TestRateIsPerProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ring Ring
		k := keys(t)["P-256"]
		id, _ := ring.Add(k, anyVersion)
		s := New(&ring, 1000)
		greedy, modest := pipeBed(t, s), pipeBed(t, s)
		ask := func(b *bed) error {
			_, err := b.client.ask(request{key: id, scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: goodMessage()})
			return err
		}
		stop := make(chan struct{})
		done := make(chan int)
		begin := time.Now()
		go func() {
			n := 0
			for {
				select {
				case <-stop:
					done <- n
					return
				default:
				}
				if err := ask(greedy); err != nil {
					t.Error(err)
				}
				n++
			}
		}()
		var longest time.Duration
		for range 50 {
			time.Sleep(100 * time.Millisecond)
			from := time.Now()
			if err := ask(modest); err != nil {
				t.Error(err)
			}
			longest = max(longest, time.Since(from))
		}
		close(stop)
		n := <-done
		took := time.Since(begin).Seconds()
		if rate := float64(n) / took; rate > 1000*1.1 || rate < 900 {
			t.Errorf("the greedy one got %.0f a second of 1000", rate)
		}
		if greedy.counts.Slowed.Load() == 0 || modest.counts.Slowed.Load() != 0 {
			t.Errorf("slowed: %d and %d", greedy.counts.Slowed.Load(), modest.counts.Slowed.Load())
		}
		if longest > time.Millisecond {
			t.Errorf("the modest one waited %v", longest)
		}
		greedy.end()
		modest.end()
	})
}

var _ crypto.MessageSigner = (*remote)(nil)
