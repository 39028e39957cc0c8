// Package port reads and prints port specifications in Net::Server's grammar:
// host:port/proto/ipv in all its forms, lists of them, and socket paths.
//
// Parse reads one text. Resolve reads all ports of a configuration, pairs the
// lists, looks names up and drops duplicates. DIFFERENCES.md lists the
// deliberate differences from Net::Server's results.
//
// Of this module it imports conf. Start reading at Spec (spec.go) and Resolve
// (resolve.go); grammar.go takes a text apart.
package port
