// Package admit decides who is served next, so that no client can keep others
// out: the handshake scheduler (Queue), the limits per source and network
// (Limiter), and the penalty box.
//
// It knows nothing of sockets. The engine reports when clients arrive, need
// the CPU, wait for the network and leave, and carries out the decisions. It
// imports nothing of this module. Start reading at Limiter (limiter.go) and
// Queue (queue.go).
package admit
