package proc

import "time"

// Activity is what the system knows of a process that does not answer.
type Activity struct {
	Stopped bool          // by a signal
	Tracer  int           // the debugger that has it; 0 is none
	Busy    bool          // a thread runs, waits for a processor or for a disk
	CPU     time.Duration // that it has used
}
