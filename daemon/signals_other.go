//go:build !unix

package daemon

import (
	"errors"
	"os"
)

// watched are the signals that the program obeys: an interrupt stops it.
func watched() []os.Signal { return []os.Signal{os.Interrupt} }

// No signal here means the following.
const (
	sigStop   = noSignal("stop")
	sigDrain  = noSignal("drain")
	sigReload = noSignal("reload")
	sigMore   = noSignal("more")
	sigLess   = noSignal("less")
	sigReopen = noSignal("reopen")
	sigState  = noSignal("state")
)

// A noSignal never arrives.
type noSignal string

func (s noSignal) String() string { return string(s) }
func (s noSignal) Signal()        {}

func isOther(os.Signal) bool { return false }

func endsWorker(os.Signal) bool { return false }

func endsStart(os.Signal, string) bool { return true }

func dieOf(os.Signal) { os.Exit(exitFailed) }

func signalName(s os.Signal) string { return s.String() }

func (p *ProcessConfig) passed() ([]os.Signal, error) {
	if len(p.SigPassthrough) > 0 {
		return nil, errors.New("sig_passthrough: this system has no signals")
	}
	return nil, nil
}

// outlivePipes has nothing to do here: writes to a broken pipe only fail.
func outlivePipes() (undo func()) { return func() {} }
