// Package proc is what a server needs of the system as a process: the pid
// file, another identity, child processes with a link to them, sessions and
// limits. It knows no Server.
//
// What a system does not have is refused with an error that wraps
// errors.ErrUnsupported, never left out.
package proc
