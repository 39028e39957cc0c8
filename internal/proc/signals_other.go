//go:build !unix

package proc

import (
	"errors"
	"os"
)

// ServerSignals returns the signals that a server obeys: an interrupt stops it.
func ServerSignals() []os.Signal { return []os.Signal{os.Interrupt} }

// No signal here means the following.
const (
	StopSignal   = noSignal("stop")
	DrainSignal  = noSignal("drain")
	ReloadSignal = noSignal("reload")
	MoreSignal   = noSignal("more")
	LessSignal   = noSignal("less")
	ReopenSignal = noSignal("reopen")
	StateSignal  = noSignal("state")
)

// A noSignal never arrives.
type noSignal string

func (s noSignal) String() string { return string(s) }
func (s noSignal) Signal()        {}

// ForSupervisor reports whether a signal means something only to a supervisor.
func ForSupervisor(os.Signal) bool { return false }

// IsStop reports whether a signal asks a process to end soon.
func IsStop(s os.Signal) bool { return s == os.Interrupt }

// DieOf ends this process with a status.
func DieOf(_ os.Signal, status int) { os.Exit(status) }

// SignalName returns the name of a signal.
func SignalName(s os.Signal) string { return s.String() }

// SignalNamed always fails: there are no names.
func SignalNamed(string) (os.Signal, error) { return nil, errors.New("this system has no signals") }

// SurviveBrokenPipes has nothing to do here: writes to a broken pipe only fail.
func SurviveBrokenPipes() (undo func()) { return func() {} }
