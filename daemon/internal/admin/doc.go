// Package admin is the HTTP front of a running server: health checks, metrics,
// the live page and its API. It knows the server only through the verbs of the
// control protocol, holds nothing but what it was answered last, and meets
// whoever reaches its listener. docs/ADMIN.md is the manual.
//
// Of this module it imports internal/control, whose verbs it asks, the engine
// and handler/httpd, which serve its listener, and page, the files of the live
// page. It does not link the Prometheus library: who wants /metrics hands that
// in (daemon/prommetrics). Start reading at Front (front.go); address.go reads
// the key admin, events.go has the stream of the live page.
package admin
