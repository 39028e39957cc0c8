package honest

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func listen(t *testing.T) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, l.Addr().(*net.TCPAddr).AddrPort()
}

// echo serves clients one after the other, and stops for a while before the
// one numbered pauseAt.
func echo(l net.Listener, pauseAt int, pause time.Duration) {
	for i := 0; ; i++ {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if i == pauseAt {
			time.Sleep(pause)
		}
		io.Copy(c, c)
		c.Close()
	}
}

// A stop of the server is felt by everyone who comes meanwhile, not only by
// the client that it began with.
func TestOneStopIsFeltByMany(t *testing.T) {
	l, addr := listen(t)
	const stop = 500 * time.Millisecond
	go echo(l, 10, stop)
	r, err := Run(t.Context(), Options{To: addr, Rate: 100, Count: 100, Duration: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 100 || r.Failed != 0 {
		t.Fatalf("%d sent, %d failed: %v", r.Sent, r.Failed, r.Failures)
	}
	// Half a second is half of the clients; the delays of those run from all
	// of the stop down to nothing.
	if r.Latency.Max < stop || r.Latency.P90 < stop/2 {
		t.Errorf("a stop of %v shows as %+v", stop, r.Latency)
	}
}

// Clients come at their time although none before them is served.
func TestClientsDoNotWaitForEachOther(t *testing.T) {
	_, addr := listen(t) // accepts nobody
	begin := time.Now()
	r, err := Run(t.Context(), Options{To: addr, Rate: 200, Count: 100, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent != 100 || r.Failed != 100 || r.Failures["read timed out"] != 100 {
		t.Errorf("%d sent, %d failed: %v", r.Sent, r.Failed, r.Failures)
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
	if r.Latency.P50 < time.Second {
		t.Errorf("failures count as %v, not as the time limit", r.Latency.P50)
	}
}

func TestClosedAndStream(t *testing.T) {
	l, addr := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	r, err := Closed(t.Context(), Options{To: addr, Count: 50}, 4)
	if err != nil || r.Done != 50 || r.Failed != 0 {
		t.Errorf("closed: %+v, %v", r, err)
	}
	r, err = Stream(t.Context(), Options{To: addr, Duration: time.Second}, 2, 1000)
	if err != nil || r.Done < 1000 || r.Failed != 0 {
		t.Errorf("stream: %+v, %v", r, err)
	}
}

func TestOptionsAreBounded(t *testing.T) {
	here := netip.MustParseAddrPort("127.0.0.1:1")
	for want, o := range map[string]Options{
		"rate":                   {To: here, Rate: MaxRate + 1},
		"rate -1":                {To: here, Rate: -1},
		"duration":               {To: here, Duration: MaxDuration + 1},
		"timeout":                {To: here, Timeout: MaxTimeout + 1},
		"count":                  {To: here, Count: -1},
		"not a loopback address": {To: netip.MustParseAddrPort("192.0.2.1:1")},
	} {
		if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	if _, err := Closed(context.Background(), Options{To: here}, MaxConns+1); err == nil {
		t.Error("too many connections were taken")
	}
}

func TestQuantiles(t *testing.T) {
	var d []time.Duration
	for i := 100; i > 0; i-- {
		d = append(d, time.Duration(i))
	}
	if q := QuantilesOf(d); q != (Quantiles{50, 90, 99, 100}) {
		t.Errorf("%+v", q)
	}
	if q := QuantilesOf(nil); q != (Quantiles{}) {
		t.Errorf("%+v", q)
	}
	if q := QuantilesOf([]time.Duration{7}); q != (Quantiles{7, 7, 7, 7}) {
		t.Errorf("%+v", q)
	}
}
