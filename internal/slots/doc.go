// Package slots holds what there is only so much of: places for open clients,
// places in the handler, and goroutines that run handshakes. It imports nothing
// of this module. Start with Gate.
package slots
