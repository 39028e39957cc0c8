// Package peers runs other TLS servers beside netserver, for measurements:
// each as a process of its own on loopback, with the same certificate and time
// limits, its files in a temporary directory, and ended by its process ids.
//
// Of this module it imports bench/honest and bench/loopback. Start reading at All
// (configs.go) and Start (process.go).
package peers
