// Package lograte bounds the log lines that strangers can cause: so many in a
// second, so many of each kind in a minute, and a count of the rest. It imports
// nothing of this module. Start with Sampler.
package lograte
