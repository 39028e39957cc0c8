package netserver

import (
	"math"
	"runtime/debug"

	"netserver/internal/admit"
	"netserver/internal/proc"
)

// A Descriptors is a Handler that opens descriptors of its own: so many for
// each client, beside its connection. max_connections takes that into account.
type Descriptors interface{ Descriptors() int }

const (
	// minDivided is the least max_connections that is divided among sources:
	// with fewer, one program's own connections would be in each other's way.
	minDivided = 64

	minReserve, maxReserve = 32, 512
)

// maxConns returns how many clients may be connected: as configured, or as
// many as there are descriptors for, with some kept back for logs, reloads and
// what the Handler opens. 0 is no limit.
func (r *run) maxConns() int { return r.cfg.maxConnsOf(r.srv.Handler) }

func (c *Config) maxConnsOf(h Handler) int {
	if c.MaxConns != 0 {
		return c.maxConns()
	}
	return connsFor(proc.DescriptorLimit(), h)
}

func connsFor(limit uint64, h Handler) int {
	if limit == 0 || limit > math.MaxInt32 {
		return 0
	}
	each := 1
	if d, ok := h.(Descriptors); ok {
		each += max(d.Descriptors(), 0)
	}
	n := int(limit)
	reserve := min(max(n/16, minReserve), maxReserve)
	return max((n-reserve)/each, 1)
}

// limits returns the Limiter's values, for so many clients in all.
func (c *Config) limits(conns int) admit.Limits {
	l := admit.Limits{
		Rate:                  rate(c.ConnRate),
		RatePerSource:         rate(c.ConnRatePerSource),
		RatePerPrefix:         rate(c.ConnRatePerPrefix),
		DatagramRate:          rate(c.DatagramRate),
		DatagramRatePerSource: rate(c.DatagramRatePerSource),
		DatagramRatePerPrefix: rate(c.DatagramRatePerPrefix),
		MaxMemory:             c.maxMemory(),
		Shadow:                c.LimitsShadow,
		Penalty: admit.Penalty{
			Threshold: float64(max(c.PenaltyPoints, 0)),
			Time:      c.PenaltyTime,
			MaxTime:   c.PenaltyMaxTime,
			Exempt:    c.PenaltyExempt,
		},
	}
	source, prefix := 0, 0
	if conns >= minDivided {
		source, prefix = conns/4*3, conns/8*7
	}
	l.MaxPerSource = number(c.MaxPerSource, source)
	l.MaxPerPrefix = number(c.MaxPerPrefix, prefix)
	return l
}

func rate(n int) float64 { return float64(max(n, 0)) }

// maxMemory returns the bytes that connections may take: by default half of
// what the process may have.
func (c *Config) maxMemory() int64 {
	switch {
	case c.MaxMemory < 0:
		return 0
	case c.MaxMemory > 0:
		return c.MaxMemory
	}
	limit := debug.SetMemoryLimit(-1) // GOMEMLIMIT
	if m := proc.SystemMemory(); m > 0 && m < limit {
		limit = m
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit / 2
}

// maxHandshakesOf returns max_handshakes where so many clients may be
// connected: unfinished handshakes never take all places.
func (c *Config) maxHandshakesOf(conns int) int {
	n := c.maxHandshakes()
	if c.MaxHandshakes == 0 && conns >= minDivided {
		n = min(n, conns/4*3)
	}
	return n
}
