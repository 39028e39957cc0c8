//go:build !unix

package netserver

func (c *Conn) initRaw() {}

// readRaw is not reached: initRaw sets no raw connection here.
func (c *Conn) readRaw(take func() []byte, _ func()) (int, error) { return c.nc.Read(take()) }

// hasInput cannot be asked here without waiting: assume there is none.
func (c *Conn) hasInput() bool { return false }
