// Package control is how a running server is asked and told things: one JSON
// request over a UNIX socket, and its answer in JSON objects, a line each. It
// has both ends and the texts that people read; what the answers are made of
// is the server's business (package daemon). docs/CONTROL.md is the manual.
package control
