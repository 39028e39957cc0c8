package program

import (
	"strconv"
	"time"

	"netserver/internal/proc"
)

// Starting reports whether the program, which was started so long ago, has
// work to do and does not wait for anything yet.
func (p *Program) Starting(age time.Duration) bool {
	state, _, ok := proc.StatOf("/proc/" + strconv.Itoa(p.Pid) + "/stat")
	if !ok {
		return age < startTime
	}
	return state == 'R' || state == 'D'
}
