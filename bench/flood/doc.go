// Package flood attacks a TLS server on this machine, so that its admission
// can be measured: connections that stall, handshakes as fast as the server
// answers, and handshakes that fail when the server has done its work. Targets
// and sources are loopback addresses; connections and time are bounded.
//
// Of this module it imports bench/honest and bench/loopback. Start reading at Run
// (flood.go); attacks.go has the kinds of attack.
package flood
