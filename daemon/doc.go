// Package daemon makes a program of a netserver.Server: it reads the
// configuration from the command line, the environment and files, opens the
// ports, logs, and obeys signals. The command netserver is its first user.
//
// It may import everything but cmd/netserver. Its parts are below internal:
// wire (what a supervisor and its processes say to each other), supervisor,
// worker, logging and ctl (the control socket and its command).
//
// Start reading at Command in command.go, or at Run in library.go for a program
// of one's own. Both read the configuration in invocation.go, check it
// (preflight.go, strictfiles.go, room.go) and make a plan of it (plan.go), which
// a supervisor serves (processes.go) or this process alone (alone.go).
package daemon
