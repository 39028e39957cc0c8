package netserver

import (
	"time"

	"netserver/port"
)

// The accessors below turn zero into the stated default and negative into
// none. Nothing else does.

const (
	defaultProxyTimeout     = 3 * time.Second
	defaultHandshakeTimeout = 10 * time.Second
	defaultWriteTimeout     = 60 * time.Second
	defaultGrace            = 30 * time.Second
	maxGraceSpread          = 5 * time.Second // of the default
	defaultMaxDatagrams     = 1024
	defaultMaxHandshakes    = 16384
	defaultHelloTimeout     = 5 * time.Second
	defaultDeferAccept      = time.Second
	defaultMinRateWindow    = 10 * time.Second
	defaultMaxLine          = 64 << 10
)

func (c *Config) ports() []port.Spec {
	if len(c.Ports) == 0 {
		return []port.Spec{{Host: "*", Port: "20203", Proto: "tcp", IPv: "*"}}
	}
	return c.Ports
}

func (c *Config) handshakeTimeout() time.Duration {
	return duration(c.HandshakeTimeout, defaultHandshakeTimeout)
}
func (c *Config) proxyHeaderTimeout() time.Duration {
	return duration(c.ProxyHeaderTimeout, defaultProxyTimeout)
}
func (c *Config) deferAfter() time.Duration          { return duration(c.DeferAccept, defaultDeferAccept) }
func (c *Config) firstByteTimeout() time.Duration    { return duration(c.FirstByteTimeout, 0) }
func (c *Config) helloTimeout() time.Duration        { return duration(c.HelloTimeout, defaultHelloTimeout) }
func (c *Config) firstRequestTimeout() time.Duration { return duration(c.FirstRequestTimeout, 0) }
func (c *Config) idleTimeout() time.Duration         { return duration(c.IdleTimeout, 0) }
func (c *Config) writeTimeout() time.Duration        { return duration(c.WriteTimeout, defaultWriteTimeout) }
func (c *Config) maxLife() time.Duration             { return duration(c.MaxLife, 0) }
func (c *Config) grace() time.Duration               { return duration(c.Grace, defaultGrace) }
func (c *Config) minReadRate() int                   { return max(c.MinReadRate, 0) }
func (c *Config) minWriteRate() int                  { return max(c.MinWriteRate, 0) }
func (c *Config) graceSpread() time.Duration {
	return duration(c.GraceSpread, min(c.grace()/10, maxGraceSpread))
}
func (c *Config) maxConns() int   { return max(c.MaxConns, 0) }
func (c *Config) maxServing() int { return max(c.MaxServing, 0) }

func (c *Config) fairHandshakes() bool { return c.HandshakeQueue != "none" }

func (c *Config) maxHandshakes() int          { return number(c.MaxHandshakes, defaultMaxHandshakes) }
func (c *Config) maxHandshakesPerSource() int { return number(c.MaxHandshakesPerSource, 0) }
func (c *Config) maxHandshakesPerPrefix() int { return number(c.MaxHandshakesPerPrefix, 0) }

// minRateWindow cannot be none: a rate needs a time.
func (c *Config) minRateWindow() time.Duration {
	if c.MinRateWindow <= 0 {
		return defaultMinRateWindow
	}
	return c.MinRateWindow
}

func (c *Config) maxDatagrams() int {
	switch {
	case c.MaxDatagrams == 0:
		return defaultMaxDatagrams
	case c.MaxDatagrams < 0:
		// None would be a goroutine count that clients control.
		return 1 << 20
	}
	return c.MaxDatagrams
}

func (c *Config) maxLine() int {
	if c.MaxLine <= 0 {
		return defaultMaxLine
	}
	return c.MaxLine
}

// number returns def for zero, 0 (none) for a negative n, and else n.
func number(n, def int) int {
	switch {
	case n == 0:
		return def
	case n < 0:
		return 0
	}
	return n
}

// duration returns def for zero, 0 (none) for a negative d, and else d.
func duration(d, def time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	}
	return d
}
