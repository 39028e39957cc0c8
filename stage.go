package netserver

import "sync/atomic"

// A Stage is a part of a client's life. Errors, hooks, log records and
// counters all name the same stages.
type Stage int

// The stages, in the order in which a client passes through them.
const (
	StageListen    Stage = iota // a port is opened
	StageAccept                 // a connection or datagram is taken from the kernel
	StageHeader                 // the PROXY header is read, where the port has them
	StageAdmit                  // limits and address rules, before any byte of the client is read
	StageHandshake              // the Transport makes the connection usable
	StageAccess                 // rules that need the handshake, then Hooks.Allow
	StageHandler                // the Handler serves the client
	StageClose                  // the client is closed and its record written
)

// A stageCell holds a client's stage: its own goroutine sets it, and anybody
// may look.
type stageCell struct{ v atomic.Int32 }

func (c *stageCell) set(s Stage) { c.v.Store(int32(s)) }
func (c *stageCell) get() Stage  { return Stage(c.v.Load()) }

// String returns the stage's name: "listen", "accept", "header", "admit",
// "handshake", "access", "handler" or "close".
func (s Stage) String() string {
	switch s {
	case StageListen:
		return "listen"
	case StageAccept:
		return "accept"
	case StageHeader:
		return "header"
	case StageAdmit:
		return "admit"
	case StageHandshake:
		return "handshake"
	case StageAccess:
		return "access"
	case StageHandler:
		return "handler"
	case StageClose:
		return "close"
	default:
		return "unknown"
	}
}
