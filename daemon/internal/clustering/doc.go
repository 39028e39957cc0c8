// Package clustering makes a server a node of a cluster (package cluster): its
// keys, the process or goroutine that shares, and what a process that serves
// clients tells other nodes and takes from them.
//
// It imports the engine's bridge, wire and cluster, and of stores the
// directory alone: who runs the command hands in the others. Start reading at
// Config (config.go), Run (run.go) and Clients (clients.go).
package clustering
