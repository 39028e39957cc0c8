package echo

import "netserver"

// raw returns the client's bytes until the client ends its side. Everything
// sent before that is returned first.
func raw(c *netserver.Conn) error {
	_, err := c.WriteTo(c) // what io.Copy would call, without its stack
	return err
}
