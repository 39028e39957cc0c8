// Package proc is what a server needs of the system as a process: the pid
// file, another identity, child processes with a link to them, sessions and
// limits. It knows no Server.
//
// What a system does not have is refused with an error that wraps
// errors.ErrUnsupported, never left out.
//
// Each part is a file with a counterpart for systems that lack it, such as
// sandbox_linux.go and sandbox_other.go. Of this module it imports conf and
// internal/place. Start reading at Start (spawn.go), which starts a child,
// Identity.Become (identity.go) and Restrict (sandbox_linux.go).
package proc
