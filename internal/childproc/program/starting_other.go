//go:build !linux

package program

import "time"

// Starting reports whether the program, which was started so long ago, may
// have work to do yet.
func (p *Program) Starting(age time.Duration) bool { return age < startTime }
