// Package top is netserver ctl top: what a running server does, again and again,
// in a terminal, or as plain lines where there is none. Of the module's packages
// it alone links charm.land/bubbletea, so that a program on package daemon does
// not: the command hands Run to daemon.WithTop.
//
// It is a client of the control socket; of this module it imports
// internal/control and outcome, whose names it reads. What is shown of clients and workers goes through plain
// in text.go. Start reading at Run; fetch.go asks the server, tables.go lists what
// it answers, and model.go is the view in a terminal, whose Update and View are
// without side effects.
package top
