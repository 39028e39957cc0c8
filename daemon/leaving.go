package daemon

import (
	"time"

	"netserver"
	"netserver/daemon/internal/wire"
	"netserver/internal/bridge"
)

// graceTime is the grace time as it is in force.
func (c *Config) graceTime() time.Duration {
	grace, _ := c.graceTimes()
	return grace
}

// graceSpread is the time after the grace time over which those who are still
// there are cut.
func (c *Config) graceSpread() time.Duration {
	_, spread := c.graceTimes()
	return spread
}

func (c *Config) graceTimes() (grace, spread time.Duration) {
	s := netserver.Server{Config: c.Server}
	return bridge.Of(s.Monitor()).GraceTimes()
}

func (c *Config) grace() string { return wire.GraceText(c.graceTime()) }
