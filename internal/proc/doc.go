// Package proc reads what the system tells of processes and of the machine:
// activity, memory, descriptors, tasks, start and end. It also has what a
// process does to itself while it serves: signals, and giving memory back. It
// knows no Server.
//
// What a system does not tell is absent from the result, never an invented
// value. Each part is a file with a counterpart for systems that lack it, such
// as usage_linux.go and usage_other.go.
//
// Its neighbours: internal/childproc starts processes, internal/identity and
// internal/sandbox restrict them, internal/descriptors has what they inherit.
//
// It imports nothing of this module. Start reading at ActivityOf
// (activity_linux.go) and ServerSignals (signals_unix.go).
package proc
