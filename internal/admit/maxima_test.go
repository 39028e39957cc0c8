package admit

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// cutAll ends what is left of a simulation.
func (s *sim) cutAll(ks ...*task) {
	for _, k := range ks {
		k.cut = ErrShed
	}
	s.drain()
}

// Over the limit of a network the oldest of its greediest source goes, and
// nobody's outside of it.
func TestMaxPerPrefix(t *testing.T) {
	for _, a := range []struct{ greedy, modest, outside netip.Addr }{
		{addr4(192, 0, 2, 1), addr4(192, 0, 2, 2), addr4(192, 0, 3, 1)},
		{netip.MustParseAddr("2001:db8:0:1::1"), netip.MustParseAddr("2001:db8:0:2::1"), netip.MustParseAddr("2001:db8:1::1")},
	} {
		s := newSim(t, 2, QueueConfig{MaxPerPrefix: 5})
		add := func(a netip.Addr) *task {
			k := s.add(a, time.Hour, 100*us, 100*us)
			s.run(ms, nil)
			return k
		}
		ks := []*task{add(a.modest), add(a.outside)}
		for range 6 {
			ks = append(ks, add(a.greedy))
		}
		for i, k := range ks {
			err := k.t.Err()
			if shed := i == 2 || i == 3; shed != (err != nil) {
				t.Errorf("%v, handshake %d: %v", a.greedy, i, err)
			}
			if err != nil && (!errors.Is(err, ErrShed) || ShedFor(err) != OverPrefixHandshakes) {
				t.Errorf("%v, for %v", err, ShedFor(err))
			}
		}
		if st := s.q.Stats(); st.Unfinished != 6 || st.Shed != 2 {
			t.Errorf("%+v", st)
		}
		s.cutAll(ks...)
	}
}

func TestQueueShadowEndsNothing(t *testing.T) {
	unix := netip.Addr{}
	for _, tt := range []struct {
		cfg  QueueConfig
		a    [3]netip.Addr
		want Reason
	}{
		{QueueConfig{Max: 2}, [3]netip.Addr{addr4(10, 0, 0, 1), addr4(10, 1, 0, 1), addr4(10, 2, 0, 1)}, OverHandshakes},
		{QueueConfig{MaxPerSource: 2}, [3]netip.Addr{attacker, attacker, attacker}, OverSourceHandshakes},
		{QueueConfig{MaxPerPrefix: 2, Max: 2}, [3]netip.Addr{addr4(10, 0, 0, 1), addr4(10, 0, 0, 2), addr4(10, 0, 0, 3)}, OverPrefixHandshakes},
		{QueueConfig{MaxPerPrefix: 2}, [3]netip.Addr{addr4(10, 0, 0, 1), addr4(10, 0, 0, 2), addr4(10, 0, 1, 3)}, OK},
		{QueueConfig{MaxPerPrefix: 2}, [3]netip.Addr{unix, unix, unix}, OverPrefixHandshakes},
	} {
		tt.cfg.Shadow = true
		s := newSim(t, 2, tt.cfg)
		var ks []*task
		for i, a := range tt.a {
			k := s.add(a, time.Hour, 100*us, 100*us)
			s.run(ms, nil)
			want := OK
			if i == 2 {
				want = tt.want
			}
			if k.t.Over() != want || k.t.Err() != nil {
				t.Errorf("%+v: %d is over %v, %v", tt.cfg, i, k.t.Over(), k.t.Err())
			}
			ks = append(ks, k)
		}
		if st := s.q.Stats(); st.Unfinished != 3 || st.Shed != 0 {
			t.Errorf("%+v: %+v", tt.cfg, st)
		}
		s.cutAll(ks...)
	}
}

func TestShedFor(t *testing.T) {
	for err, want := range map[error]Reason{
		ErrTimeout: OK, errors.New("x"): OK, ErrShed: OverMemory, &shedError{OverHandshakes}: OverHandshakes,
	} {
		if got := ShedFor(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
