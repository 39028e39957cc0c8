//go:build !unix

package control

import "errors"

// Supported reports whether there can be a control socket on this system.
const Supported = false

func checkDir(string) error {
	return errors.New("this system does not tell who a client is: there is no control socket")
}
