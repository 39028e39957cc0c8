// Package ctl is both ends of the control socket as a program sees them: the
// command netserver ctl, which asks a running server or tells it something, and
// the Server that answers there.
//
// It may import internal/control, whose protocol it speaks, and wire, in whose
// words it asks the processes that serve. The server itself, with a supervisor
// or without, is a Target. Start reading at Server.handle in server.go, where a
// request is carried out; lists.go adds up what several processes answer, and
// command.go is the command.
package ctl
