// Package cgi is an http.Handler that runs a program for each request, as
// Net::Server::HTTP does: the request's environment, its body on the program's
// standard input, and what the program writes, headers first, as the answer.
// Both directions stream. It also makes that environment for others (Vars), and
// the page that shows it (Page).
//
//	h := &cgi.Handler{Path: "/usr/lib/cgi-bin/report"}
//	if err := h.Check(); err != nil { ... }
//	s := &netserver.Server{Handler: &httpd.Handler{Handler: h}}
//
// # Environment
//
// A program has these variables and no others, PATH not among them, unless
// Origin.Env gives more:
//
//	REQUEST_METHOD          in capitals
//	REQUEST_URI             as the client sent it
//	SERVER_PROTOCOL         HTTP/1.0, HTTP/1.1 or HTTP/2.0
//	QUERY_STRING            what follows the first ?, if there is one
//	SCRIPT_NAME, PATH_INFO  what package apps matched, and the rest, decoded;
//	                        without it "", and the whole path as it was sent
//	REMOTE_ADDR, ..._PORT   the client's; empty on UNIX sockets
//	SERVER_ADDR, ..._PORT   likewise
//	HTTPS                   on, if the client uses TLS
//	CONTENT_LENGTH, ..._TYPE  of the body, if the client says them
//	HTTP_NAME               each header; repeated ones are joined by ", "
//	NET_SERVER_TYPE         Origin.Type
//	NET_SERVER_SOFTWARE     Origin.Software
//
// The header Proxy is left out, since many programs take HTTP_PROXY for the
// address of a proxy to use; so is Transfer-Encoding, as the body arrives
// without it. Headers whose names have anything but letters, digits and dashes
// are left out as well: X_Forwarded_For would look like X-Forwarded-For to a
// program, and a proxy that guards the one lets the other pass.
//
// # How it ends
//
// The program's input ends with the body. The answer ends when the program has
// ended and what it wrote has been sent. When the request's context ends, since
// its client has left or the server wants no more of it, the program's process
// group gets TERM, and KILL after Handler.KillGrace.
//
// Of this module it imports netserver, handler/httpd, internal/childproc and
// logs. Start reading at Handler.ServeHTTP (serve.go); answer.go reads what
// programs write.
package cgi
