package metric

import (
	"math"
	"runtime"
	"testing"
	"time"
)

// Check takes what a worker may send, and nothing that differs from it in one
// thing.
func TestCheck(t *testing.T) {
	has := func(label, value string) bool { return label == LabelLimit && value == "max_conns" }
	hist := &Sparse{Sum: 1, Zero: MaxCount, Index: []int{MinBucket, MaxBucket}, N: []uint64{1, MaxCount}}
	for _, s := range []Sample{
		{Family: WouldRefuse, Port: 1, Labels: []string{"max_conns"}, Value: MaxCount},
		{Family: WouldRefuse, Port: 2, Labels: []string{"max_conns"}},
		{Family: Goroutines, Value: 7},
		{Family: HandshakePhase, Port: 2, Labels: []string{PhaseHello}, Hist: hist},
		{Family: Handshake, Labels: []string{"TLS 1.3", None, Other, No}, Hist: new(Sparse)},
	} {
		if err := s.Check(2, has); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, s := range []Sample{
		{Family: "netserver_made_up", Value: 1},
		{Family: Connections, Port: 1, Labels: []string{"served"}, Value: 1}, // the supervisor's own
		{Family: WouldRefuse, Port: 0, Labels: []string{"max_conns"}},
		{Family: WouldRefuse, Port: -1, Labels: []string{"max_conns"}},
		{Family: WouldRefuse, Port: 3, Labels: []string{"max_conns"}},
		{Family: WouldRefuse, Port: 1, Labels: []string{"made_up"}},
		{Family: WouldRefuse, Port: 1},
		{Family: WouldRefuse, Port: 1, Labels: []string{"max_conns", "max_conns"}},
		{Family: Goroutines, Port: 1},
		{Family: Goroutines, Labels: []string{"x"}},
		{Family: Goroutines, Value: -1},
		{Family: Goroutines, Value: math.NaN()},
		{Family: Goroutines, Value: math.Inf(1)},
		{Family: Goroutines, Value: 2 * MaxCount},
		{Family: Goroutines, Hist: new(Sparse)},
		{Family: HandshakePhase, Port: 1, Labels: []string{PhaseHello}, Value: 1},
		{Family: HandshakePhase, Port: 1, Labels: []string{"nap"}, Hist: new(Sparse)},
		{Family: Handshake, Labels: []string{"TLS 9", None, Other, No}, Hist: new(Sparse)},
		{Family: Handshake, Labels: []string{"TLS 1.3", None, Other, No}, Hist: &Sparse{Sum: math.NaN()}},
		{Family: Handshake, Labels: []string{"TLS 1.3", None, Other, No}, Hist: &Sparse{Zero: MaxCount + 1}},
	} {
		if err := s.Check(2, has); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

// Samples of a port that there is no more are left out, and no others.
func TestAddAllKnowsItsPorts(t *testing.T) {
	var s Set
	s.AddAll([]Sample{
		{Family: WouldCut, Port: 3, Value: 1},
		{Family: WouldCut, Port: 2, Value: 2},
		{Family: Goroutines, Value: 4},
	}, []string{"a", "b"})
	if list := s.Series(WouldCut); len(list) != 1 || list[0].Labels[0] != "b" || list[0].Value != 2 {
		t.Errorf("%+v", list)
	}
	if list := s.Series(Goroutines); len(list) != 1 || list[0].Value != 4 {
		t.Errorf("%+v", list)
	}
}

// What has counted nothing is not told.
func TestPortTellsNothingOfNothing(t *testing.T) {
	if list := new(Port).Samples(nil, 1); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// What a message repeats is not kept: a worker could have the supervisor keep
// a whole message for each new series.
func TestLatestKeepsNoMessage(t *testing.T) {
	var l Latest
	freed := make(chan struct{})
	func() {
		list := make([]Sample, 100)
		for i := range list {
			list[i] = Sample{Family: HandlerTime, Port: 1, Hist: new(Sparse)}
		}
		runtime.AddCleanup(&list[99], func(c chan struct{}) { close(c) }, freed)
		if !l.Take(list, 1) {
			t.Fatal("too many")
		}
	}()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		runtime.GC()
		select {
		case <-freed:
			if n := len(l.All()); n != 1 {
				t.Errorf("%d series", n)
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Error("the message is kept")
}

// Least keeps the lowest, and also the first if that is above zero.
func TestLeast(t *testing.T) {
	var s Set
	for _, v := range []float64{5, 7, 3, 4} {
		s.Least(CertificateEnd, v, "port", "file")
	}
	if list := s.Series(CertificateEnd); len(list) != 1 || list[0].Value != 3 {
		t.Errorf("%+v", list)
	}
}
