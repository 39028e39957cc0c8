//go:build !unix

package control

import "errors"

// Supported reports whether this system supports a control socket.
const Supported = false

func checkDir(string) error {
	return errors.New("this system does not report the identity of clients, so a control socket is not supported")
}
