// Package sock opens, inherits and passes listening sockets, and turns
// datagram sockets and single connections into listeners.
package sock
