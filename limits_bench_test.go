package netserver

import (
	"net"
	"testing"
	"time"
)

// noConn takes no deadline, so that what limits cost themselves is measured.
type noConn struct{ net.Conn }

func (noConn) SetReadDeadline(time.Time) error  { return nil }
func (noConn) SetWriteDeadline(time.Time) error { return nil }

// What the limits add to a read and a write that do not wait.
func BenchmarkLimits(b *testing.B) {
	for _, bm := range []struct {
		name string
		cfg  Config
	}{
		{"default", Config{}},
		{"idle", Config{Timeouts: Timeouts{Idle: time.Minute}}},
		{"idle, life, first request", Config{Timeouts: Timeouts{Idle: time.Minute, Life: time.Hour, FirstRequest: time.Minute}}},
		{"idle, minimum rates", Config{Timeouts: Timeouts{Idle: time.Minute}, Limits: Limits{MinReadRate: 1, MinWriteRate: 1}}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			l := &listening{cfg: bm.cfg.effective(nil)}
			l.prepareLimits()
			c := &Conn{stream: stream{nc: noConn{}, raw: noConn{}}, l: l, run: &run{}}
			c.limits.Init(&l.limits, time.Now())
			c.become(c.raw)
			c.limits.Begin()
			b.ReportAllocs()
			for b.Loop() {
				c.limits.ArmRead(c.nc)
				c.rates.BeginRead()
				c.gotBytes(1)
				c.rates.EndRead()
				c.rates.BeginWrite()
				c.limits.ArmWrite(c.nc)
				c.traffic.out.Add(1)
				c.limits.Active()
				c.rates.EndWrite()
			}
			c.rates.Stop()
		})
	}
}
