// Package admin is the HTTP front of a running server: health checks, metrics,
// the live page and its API. It knows the server only through the verbs of the
// control protocol, and holds nothing but what it was answered last.
//
// The page's files stand in page/, and are built into the program.
//
// Of this module it may import internal/control, whose verbs it asks. Start
// reading at page/page.go.
package admin
