package main

import "syscall"

// Signals that stop a process and have it go on.
const (
	sigStop = syscall.SIGSTOP
	sigCont = syscall.SIGCONT
)
