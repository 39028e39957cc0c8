package echo

import (
	"io"

	"netserver"
)

// raw gives the client's bytes back until it ends. What it sent before its end
// is all given back first.
func raw(c *netserver.Conn) error {
	_, err := io.Copy(c, c)
	return err
}
