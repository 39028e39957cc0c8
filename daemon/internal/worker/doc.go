// Package worker is a process that a supervisor has started: it becomes who it
// is to be, restricts itself, serves clients on the ports that it was given, or
// runs one job. It asks its supervisor for files that it may not read, and for
// signatures with private keys that it does not have.
//
// Start with Run in worker.go: a worker's life from its first message to its
// end. ask.go has what it asks, sandbox.go what it may still do afterwards.
//
// It imports wire and logging, and never the supervisor. Of package daemon it
// has what Options and Settings carry.
package worker
