// Package watch tells which of a set of files have changed: at once where the
// system can say so, and by a slow look at each for file systems that cannot.
// Symbolic links that are swapped, and files that are replaced, count.
package watch
