//go:build !unix

package daemon

import "os"

// watched are the signals that the program obeys: an interrupt stops it.
var watched = []os.Signal{os.Interrupt}

// No signal here means to drain or to restart.
const (
	sigDrain  = noSignal("drain")
	sigReload = noSignal("reload")
)

// A noSignal never arrives.
type noSignal string

func (s noSignal) String() string { return string(s) }
func (s noSignal) Signal()        {}

func signalName(s os.Signal) string { return s.String() }

// outlivePipes has nothing to do here: writes to a broken pipe only fail.
func outlivePipes() (undo func()) { return func() {} }
