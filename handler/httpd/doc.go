// Package httpd is a Handler that serves HTTP: net/http over any stream port,
// TCP, TLS or UNIX, with HTTP/1.1 and HTTP/2.
//
// What net/http does, it does here: parsing, keep-alive, HTTP/2, ResponseWriter.
// Beneath it the engine has its say: admission, limits and time limits of the
// port, the bytes in the client's record, drain and kill. A client is a
// connection, with any number of requests, and has one record.
//
// Of this module it imports netserver and proto. Start reading at Handler.Serve
// (handler.go); server.go has the http.Servers behind it, conn.go what they see
// of a client.
package httpd
