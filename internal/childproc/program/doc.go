// Package program runs programs that serve clients: it starts them, each with a
// session and a process group of its own, reaps them, ends them with what they
// have started, and reads what they write. It knows no Server; handler/exec and
// handler/httpd use it.
//
// Of this module it imports internal/childproc. Start reading at Starter
// (program.go), then Outlet (outlet.go) and Lines (lines.go).
package program
