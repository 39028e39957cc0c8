// Package port reads and prints port specifications in Net::Server's grammar:
// host:port/proto/ipv in all its forms, lists of them, and socket paths.
package port
