//go:build !unix

package netserver

func (c *Conn) initRaw() {}

func (c *Conn) readRaw(limit int) (int, error) { return c.nc.Read(c.line.space(limit)) }

// hasInput cannot be asked here without waiting: assume there is some.
func (c *Conn) hasInput() bool { return false }
