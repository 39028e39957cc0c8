// Package child lets a measuring program start itself again as a process with
// a role of its own (a server, a load, an attack), so that the CPU and memory
// of one can be told from the others'.
//
// It imports nothing of this module. Start reading at Command.
package child
