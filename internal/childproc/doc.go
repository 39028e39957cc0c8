// Package childproc starts the server's own program again as a child process,
// talks to it over a Link, and ends it; it also reaps orphans and computes the
// environment of programs. It knows no Server.
//
// A Link carries messages with descriptors. Part is the child's side: what it
// has from its parent. Where processes cannot be started so, everything here is
// refused with an error that wraps errors.ErrUnsupported (CanSpawn tells).
//
// Of this module it imports internal/place, internal/proc and
// internal/descriptors. Start reading at Start (spawn.go) and Link (link.go);
// Part.Hold (hold_linux.go) starts the program again under a new identity.
package childproc
