package netserver

import (
	"fmt"
	"math"
	"runtime/debug"
	"time"

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

	mostHandshakes = 16384
	mostSpread     = 5 * time.Second
)

// connsByDescriptors is the default of max_connections: as many clients as
// there are descriptors for, with some kept back for logs, reloads and what the
// Handler opens. 0 is no limit.
func connsByDescriptors(_ *effective, h Handler) int64 {
	return int64(connsFor(proc.DescriptorLimit(), h))
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

// handshakesByConns is the default of max_handshakes: unfinished handshakes
// never take all places. Without the queue nothing counts them.
func handshakesByConns(e *effective, _ Handler) int64 {
	if e.Admission.HandshakeQueue == QueueNone {
		return 0
	}
	if e.Limits.MaxConns >= minDivided {
		return int64(min(mostHandshakes, e.Limits.MaxConns/4*3))
	}
	return mostHandshakes
}

// sourceByConns and prefixByConns are the defaults of max_per_source and
// max_per_prefix.
func sourceByConns(e *effective, _ Handler) int64 {
	if e.Limits.MaxConns < minDivided {
		return 0
	}
	return int64(e.Limits.MaxConns / 4 * 3)
}

func prefixByConns(e *effective, _ Handler) int64 {
	if e.Limits.MaxConns < minDivided {
		return 0
	}
	return int64(e.Limits.MaxConns / 8 * 7)
}

// halfOfMemory is the default of max_memory: half of what the process may
// have.
func halfOfMemory(*effective, Handler) int64 {
	limit := debug.SetMemoryLimit(-1) // GOMEMLIMIT
	if m := proc.SystemMemory(); m > 0 && m < limit {
		limit = m
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit / 2
}

// tenthOfGrace is the default of grace_spread.
func tenthOfGrace(e *effective, _ Handler) int64 { return int64(min(e.Shutdown.Grace/10, mostSpread)) }

// limits returns the Limiter's values.
func (e *effective) limits() admit.Limits {
	return admit.Limits{
		MaxPerSource:          e.Admission.MaxPerSource,
		MaxPerPrefix:          e.Admission.MaxPerPrefix,
		Rate:                  float64(e.Admission.ConnRate),
		RatePerSource:         float64(e.Admission.ConnRatePerSource),
		RatePerPrefix:         float64(e.Admission.ConnRatePerPrefix),
		DatagramRate:          float64(e.Admission.DatagramRate),
		DatagramRatePerSource: float64(e.Admission.DatagramRatePerSource),
		DatagramRatePerPrefix: float64(e.Admission.DatagramRatePerPrefix),
		MaxMemory:             e.Admission.MaxMemory,
		Shadow:                e.Admission.Shadow,
		Penalty: admit.Penalty{
			Threshold: float64(e.Admission.Penalty.Points),
			Time:      e.Admission.Penalty.Time,
			MaxTime:   e.Admission.Penalty.MaxTime,
			Exempt:    e.Admission.Penalty.Exempt,
		},
	}
}

// warnDescriptors tells of a max_connections that the descriptor limit does not
// allow: accept will fail before it is reached.
func (r *run) warnDescriptors() {
	limit := proc.DescriptorLimit()
	if n := r.srv.Config.Limits.MaxConns; n > 0 && limit > 0 && limit <= math.MaxInt32 && n > connsFor(limit, r.srv.Handler) {
		r.log.Warn(fmt.Sprintf("max_connections %d is more than %d descriptors are enough for (%d clients): raise the limit (ulimit -n, limit_nofile), or clients will wait in the backlog for descriptors",
			n, limit, connsFor(limit, r.srv.Handler)))
	}
}
