//go:build unix

package descriptors

import "syscall"

// maxLoop bounds the descriptors that are looked at where the system has no way
// to mark all at once.
const maxLoop = 1 << 12

// CloseInherited marks all descriptors above 2 to be closed when a program is
// executed: what the process that started this one left open, a shell's
// 7</etc/shadow say, is no business of workers and programs. What is handed on
// on purpose is handed on by childproc.Start.
func CloseInherited() {
	if closeRange() {
		return
	}
	for fd := First; fd < maxLoop; fd++ {
		syscall.CloseOnExec(fd)
	}
}
