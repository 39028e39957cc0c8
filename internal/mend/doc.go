// Package mend repairs open sockets that other processes share and have changed
// for all: shut down, connected, or given a filter. A supervisor uses it before
// it hands a port on.
//
// Of this module it imports sock, in tests also port. Start reading at Socket
// (mend.go); mend_linux.go has the checks.
package mend
