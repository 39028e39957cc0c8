package metric

import (
	"encoding/json"
	"math"
	"reflect"
	"sync"
	"testing"
	"time"
)

// Each duration is in the bucket that its bounds say.
func TestBuckets(t *testing.T) {
	for i := MinBucket; i <= MaxBucket; i++ {
		end := math.Exp2(float64(i) / perOctave)
		if got := bucketOf(end); i%perOctave == 0 && got != i {
			t.Errorf("%g, the end of bucket %d, is in %d", end, i, got)
		}
		for v, want := range map[float64]int{end * 0.9999: i, end * 1.0001: min(i+1, MaxBucket)} {
			if got := bucketOf(v); got != want {
				t.Errorf("%g is in bucket %d, not %d", v, got, want)
			}
		}
	}
	if got := bucketOf(ZeroThreshold); got != MinBucket-1 {
		t.Errorf("the end of the zero bucket is in bucket %d", got)
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, d := range []time.Duration{-1, 0, 1, 3 * time.Millisecond, 3 * time.Millisecond, time.Second, math.MaxInt64} {
				h.Observe(d)
			}
		})
	}
	wg.Wait()
	s := h.Sparse()
	want := Sparse{Zero: 12, Index: []int{bucketOf(0.003), 0, MaxBucket}, N: []uint64{8, 4, 4}, Sum: s.Sum}
	if !reflect.DeepEqual(s, want) || s.Count() != 28 {
		t.Errorf("%+v, want %+v", s, want)
	}
	if got, want := s.Sum, 4*(1.006+float64(math.MaxInt64/1000)/1e6); math.Abs(got-want) > 1e-3*want {
		t.Errorf("the sum is %g, want %g", got, want)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// Counting costs no allocation.
func TestObserveAllocs(t *testing.T) {
	h := new(Histogram)
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	h := new(Histogram)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		d := time.Microsecond
		for pb.Next() {
			if h.Observe(d); d < time.Minute {
				d += d / 16
			}
		}
	})
}

func TestSparseAddsUp(t *testing.T) {
	a := Sparse{Sum: 1, Zero: 1, Index: []int{-3, 0, 5}, N: []uint64{1, 2, 3}}
	b := Sparse{Sum: 2, Zero: 5, Index: []int{-8, 0, 7}, N: []uint64{4, 1, 6}}
	sum := a
	sum.Add(&b)
	if want := (Sparse{Sum: 3, Zero: 6, Index: []int{-8, -3, 0, 5, 7}, N: []uint64{4, 1, 3, 3, 6}}); !reflect.DeepEqual(sum, want) {
		t.Errorf("added: %+v", sum)
	}
	high := a
	high.Raise(&b)
	if want := (Sparse{Sum: 2, Zero: 5, Index: []int{-8, -3, 0, 5, 7}, N: []uint64{4, 1, 2, 3, 6}}); !reflect.DeepEqual(high, want) {
		t.Errorf("raised: %+v", high)
	}
	high.Raise(&a)
	if again := high; !reflect.DeepEqual(again, high) {
		t.Errorf("raised once more: %+v", again)
	}
	full := Sparse{Zero: math.MaxUint64 - 1, Sum: 1}
	full.Add(&b)
	if full.Zero != math.MaxUint64 {
		t.Errorf("a full counter begins anew at %d", full.Zero)
	}
}

func TestSparseBounds(t *testing.T) {
	many := Sparse{Index: make([]int, bucketsAll+1), N: make([]uint64, bucketsAll+1)}
	for name, s := range map[string]Sparse{
		"more numbers than buckets": {Index: []int{1}, N: []uint64{1, 2}},
		"twice":                     {Index: []int{1, 1}, N: []uint64{1, 2}},
		"falling":                   {Index: []int{2, 1}, N: []uint64{1, 2}},
		"below the first":           {Index: []int{MinBucket - 1}, N: []uint64{1}},
		"above the last":            {Index: []int{MaxBucket + 1}, N: []uint64{1}},
		"too high":                  {Index: []int{1}, N: []uint64{MaxCount + 1}},
		"too high at zero":          {Zero: MaxCount + 1},
		"a negative sum":            {Sum: -1},
		"a huge sum":                {Sum: 1e300},
		"not a number":              {Sum: math.NaN()},
		"infinite":                  {Sum: math.Inf(1)},
		"too many":                  many,
	} {
		if s.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := (&Sparse{Index: []int{MinBucket, MaxBucket}, N: []uint64{MaxCount, 0}}).Check(); err != nil {
		t.Error(err)
	}
}

// FuzzSparse: what passes Check adds up without panics, in order, and never
// falls.
func FuzzSparse(f *testing.F) {
	f.Add([]byte(`{"Sum":1,"Zero":2,"Index":[-53,-52],"N":[4,5]}`), []byte(`{"Sum":0.5,"Index":[-52,9],"N":[1,1]}`))
	f.Add([]byte(`{}`), []byte(`{"Index":[1],"N":[]}`))
	f.Fuzz(func(t *testing.T, x, y []byte) {
		var a, b Sparse
		if json.Unmarshal(x, &a) != nil || json.Unmarshal(y, &b) != nil || a.Check() != nil || b.Check() != nil {
			return
		}
		high, sum := a, a
		high.Raise(&b)
		sum.Add(&b)
		if err := high.Check(); err != nil {
			t.Fatal(err)
		}
		if sum.Count() != a.Count()+b.Count() || high.Count() < max(a.Count(), b.Count()) || high.Sum < a.Sum {
			t.Fatalf("%+v and %+v: %+v, %+v", a, b, sum, high)
		}
		for i := 1; i < len(sum.Index); i++ {
			if sum.Index[i] <= sum.Index[i-1] {
				t.Fatalf("out of order: %+v", sum)
			}
		}
	})
}

// What a process has told once stays, whatever it tells later, and when it has
// ended; gauges are as they were told last, and end with it.
func TestLatestNeverFalls(t *testing.T) {
	var l Latest
	hist := func(n uint64) *Sparse { return &Sparse{Sum: float64(n), Index: []int{3}, N: []uint64{n}} }
	tell := func(n uint64) bool {
		return l.Take([]Sample{
			{Family: WouldCut, Port: 1, Value: float64(n)},
			{Family: WouldCut, Port: 2, Value: 7},
			{Family: HandlerTime, Port: 1, Hist: hist(n)},
			{Family: Goroutines, Value: float64(n)},
		}, 4)
	}
	if !tell(5) || !tell(2) {
		t.Fatal("refused")
	}
	sum := func(list []Sample) map[string]float64 {
		var set Set
		set.AddAll(list, []string{"a"}) // port 2 is nobody's
		m := make(map[string]float64)
		for _, f := range set.Families() {
			for _, one := range f.Series {
				m[f.Name] += one.Value
				if one.Hist != nil {
					m[f.Name] += float64(one.Hist.Count()) + one.Hist.Sum
				}
			}
		}
		return m
	}
	if got, want := sum(l.All()), map[string]float64{WouldCut: 5, HandlerTime: 10, Goroutines: 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := sum(l.Ended()), map[string]float64{WouldCut: 5, HandlerTime: 10}; !reflect.DeepEqual(got, want) {
		t.Errorf("at its end: %v, want %v", got, want)
	}
	if l.Take([]Sample{{Family: Penalised, Value: 1}}, 4) {
		t.Error("more series than it may have")
	}
}

// Combinations that have no name here come together, and there is an end to them.
func TestMix(t *testing.T) {
	var m Mix
	m.Observe(0x304, 29, 0x1301, false, time.Millisecond)
	m.Observe(0x304, 29, 0x1301, true, time.Millisecond)
	for i := range uint16(1000) {
		m.Observe(0x7000+i, 0, 0x7000, false, time.Millisecond)
	}
	got := make(map[string]uint64)
	for _, s := range m.Samples(nil) {
		got[s.Labels[0]+" "+s.Labels[1]+" "+s.Labels[2]+" "+s.Labels[3]] = s.Hist.Count()
		if err := s.Check(0, func(string, string) bool { return false }); err != nil {
			t.Error(err)
		}
	}
	want := map[string]uint64{"TLS 1.3 X25519 TLS_AES_128_GCM_SHA256 no": 1, "TLS 1.3 X25519 TLS_AES_128_GCM_SHA256 yes": 1, "other none other no": maxMix - 2}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if n := testing.AllocsPerRun(100, func() { m.Observe(0x304, 29, 0x1301, true, time.Millisecond) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
