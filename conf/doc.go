// Package conf holds configuration keys, the layers that give them values,
// and the readers for the command line, the environment and files. Every
// value knows where it came from.
package conf
