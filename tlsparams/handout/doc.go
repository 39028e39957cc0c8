// Package handout decides which of the files that TLS parameters name a process
// may be given that cannot read them itself and may have been taken over, and
// what of their contents.
//
// Of this module it imports tlsparams, tlsparams's parts below internal, and
// internal/certfile. Start reading at Handout (handout.go); handoutfiles.go has
// what is left of each kind of file.
package handout
