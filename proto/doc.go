// Package proto holds what one port speaks below the handler: the Transport
// interface and the built-in ones, a file each.
package proto
