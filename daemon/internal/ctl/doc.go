// Package ctl is both ends of the control socket as a program sees them: the
// command netserver ctl, which asks a running server or tells it something, and
// what answers there.
//
// It may import internal/control, whose protocol it speaks, and asks a server
// through an interface, whether that has a supervisor or not. Start reading at
// Run in command.go for the one end.
package ctl
