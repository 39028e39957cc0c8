// Package reverse is an http.Handler that has another HTTP server answer: a
// reverse proxy, by httputil.ReverseProxy.
//
// Of this module it imports netserver, proto and handler/httpd. Start reading at
// Handler.ServeHTTP (reverse.go).
package reverse
