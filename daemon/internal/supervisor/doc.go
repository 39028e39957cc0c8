// Package supervisor is the process that opens the ports, keeps the private
// keys and the identity of the start, and has other processes serve: it starts
// generations of workers, watches and replaces them, goes over to a new
// configuration without losing a client, and runs jobs.
//
// One goroutine, in the loop, owns all state; everything else hands it
// functions. It trusts nothing that a worker says: see package wire.
//
// Start with Run in supervisor.go. generation.go has the life of the workers of
// one configuration, child.go that of one process, hear.go what a worker may
// say, reload.go what HUP does, in order.
//
// It imports wire, logging and, in tests, ctl. Of package daemon it has what
// Options and Settings carry.
package supervisor
