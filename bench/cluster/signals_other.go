//go:build !linux

package main

import "syscall"

// Nothing is measured here.
const (
	sigStop = syscall.Signal(0)
	sigCont = syscall.Signal(0)
)
