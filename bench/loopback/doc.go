// Package loopback keeps the load and attack generators on this machine: it
// reads targets and sources, refuses all that is not a loopback address, and
// dials from a given source.
//
// It imports nothing of this module. Start reading at Dial (loopback.go).
package loopback
