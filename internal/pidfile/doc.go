// Package pidfile creates, locks and removes the file with the server's process
// number, and finds out whether the one that it names still runs.
//
// Of this module it imports internal/place and internal/proc, in tests also
// internal/childproc. Start reading at Create (pidfile.go).
package pidfile
