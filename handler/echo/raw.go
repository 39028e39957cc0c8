package echo

import (
	"io"

	"netserver"
)

// raw returns the client's bytes until the client ends its side. Everything
// sent before that is returned first.
func raw(c *netserver.Conn) error {
	_, err := io.Copy(c, c)
	return err
}
