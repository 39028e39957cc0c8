// Package drive is the clients' side of bench/compare: it connects, shakes
// hands, sends blocks, reads downloads, exchanges datagrams, asks by HTTP or
// holds connections, as fast as the server answers or at a fixed rate, and
// says what was done and how long each operation took.
//
// Of this module it imports bench/honest and bench/loopback. Start reading at
// Run.
package drive
