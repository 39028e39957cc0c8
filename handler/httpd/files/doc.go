// Package files is an http.Handler that serves the files below a directory, and
// nothing that links there lead out of it to.
//
// It imports nothing of this module. Start reading at Handler.ServeHTTP
// (files.go).
package files
