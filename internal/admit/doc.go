// Package admit decides who is served next, so that no client can keep
// another one out: the fair handshake queue, and the limits on what one source
// and one network may have.
//
// It knows nothing of sockets. The engine tells it when clients come, want the
// CPU, wait for the network and go, and does what it decides.
package admit
