// Package port reads and prints port specifications in Net::Server's grammar:
// host:port/proto/ipv in all its forms, lists of them, and socket paths.
//
// Parse reads one text. Resolve reads what a configuration gives, pairs lists,
// looks names up and drops duplicates. DIFFERENCES.md lists where the results
// deliberately differ from Net::Server's.
package port
