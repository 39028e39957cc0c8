// Package wire is what a supervisor and the processes that it starts say to
// each other: the messages and their bounds, the roles of processes, the plan
// that a configuration becomes, and what is asked for the control socket.
//
// A supervisor trusts a worker with nothing. Start with rules.go: it lists who
// may send which message and what of it is taken; everything else ends the
// process that sent it. message.go has the messages, ask.go and answering.go
// the questions about clients.
//
// It imports the engine and what is below it, and nothing of package daemon.
package wire
