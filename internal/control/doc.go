// Package control is the protocol of the control socket: one JSON request over
// a UNIX socket, answered by JSON objects, one per line. It has both ends and
// the human-readable texts; package daemon fills in the answers.
// docs/CONTROL.md is the manual. Of this module it imports access,
// internal/place, port and sock. Start reading at Request (request.go) and
// Server (server.go).
package control
