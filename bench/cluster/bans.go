package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"netserver/bench/honest"
	"netserver/bench/loopback"
	"netserver/bench/stats"
	"netserver/internal/control"
)

const banAim = time.Second

// bans bans sources at one node after the other, by hand and by what they do,
// and measures how long the others serve them.
func bans(ctx context.Context, s *site, r *result) error {
	t := table{title: "Bans", text: "From the request to ban, or from when one node refuses a source whose handshakes failed there, until each of the others refuses it. A source is tried every 2 ms.",
		rows: [][]string{{"milliseconds", "n", "p50", "p90", "p99", "max"}}}
	for i, kind := range []struct {
		what string
		ban  func(context.Context, *site, int, netip.Addr) error
	}{{"by hand", byHand}, {"by points", byPoints}} {
		var took []time.Duration
		for n := range s.o.bans {
			source := netip.AddrFrom4([4]byte{127, 66, byte(i), byte(1 + n)})
			one, err := banned(ctx, s, n%len(s.nodes), source, kind.ban)
			if err != nil {
				return fmt.Errorf("ban %d %s: %w", n+1, kind.what, err)
			}
			took = append(took, one...)
		}
		q := honest.QuantilesOf(took)
		r.aims.Add(fmt.Sprintf("a source that one node has banned %s is refused on the others within 1 s", kind.what),
			fmt.Sprintf("p50 %.0f, p99 %.0f, max %.0f ms, %d bans", q.P50.Seconds()*1000, q.P99.Seconds()*1000, q.Max.Seconds()*1000, s.o.bans), q.Max < banAim, false)
		t.rows = append(t.rows, []string{kind.what, fmt.Sprint(len(took)), stats.Millis(q.P50), stats.Millis(q.P90), stats.Millis(q.P99), stats.Millis(q.Max)})
	}
	r.tables = append(r.tables, t)
	return nil
}

// banned bans a source at one node and returns how long each of the others took
// to refuse it.
func banned(ctx context.Context, s *site, at int, source netip.Addr, ban func(context.Context, *site, int, netip.Addr) error) (took []time.Duration, err error) {
	began := time.Now()
	if err := ban(ctx, s, at, source); err != nil {
		return nil, err
	}
	if since := time.Now(); s.serves(ctx, at, source) {
		if err := s.until(ctx, "the node itself refuses it", func() bool { return !s.serves(ctx, at, source) }); err != nil {
			return nil, err
		}
		began = since
	}
	type answer struct {
		d   time.Duration
		err error
	}
	answers := make(chan answer, len(s.nodes))
	for i := range s.nodes {
		if i == at {
			continue
		}
		go func() {
			for s.serves(ctx, i, source) && time.Since(began) < patience {
				time.Sleep(2 * time.Millisecond)
			}
			answers <- answer{time.Since(began), ctx.Err()}
		}()
	}
	for range len(s.nodes) - 1 {
		a := <-answers
		took = append(took, a.d)
		if a.err != nil {
			err = a.err
		}
	}
	return took, err
}

// serves reports whether a node serves a source.
func (s *site) serves(ctx context.Context, i int, source netip.Addr) bool {
	one, cancel := context.WithTimeout(ctx, clientTime)
	defer cancel()
	return honest.Once(one, source, s.at(toPlain+i), false) == nil
}

func byHand(ctx context.Context, s *site, at int, source netip.Addr) error {
	_, err := ask[control.Banned](ctx, s.nodes[at], &control.Request{Verb: control.VerbBan, Network: source.String(), Seconds: 600})
	return err
}

// byPoints fails handshakes until the node has had enough.
func byPoints(ctx context.Context, s *site, at int, source netip.Addr) error {
	for end := time.Now().Add(patience); s.serves(ctx, at, source); {
		if time.Now().After(end) {
			return fmt.Errorf("%s is not banned by failed handshakes", source)
		}
		c, err := loopback.Dial(ctx, source, s.at(toTLS+at), clientTime)
		if err != nil {
			return err
		}
		c.SetDeadline(time.Now().Add(clientTime))
		c.Write([]byte("this is no hello\r\n\r\n"))
		c.Read(make([]byte, 64)) // until it hangs up, or an alert
		c.Close()
	}
	return nil
}
