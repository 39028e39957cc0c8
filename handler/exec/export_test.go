package exec

import "netserver/internal/childproc/program"

// SetVar returns the environment that has nothing but name, if it is let in.
func SetVar(name, value string) []string {
	var v vars
	v.set(name, value)
	return v
}

var CipherName = cipherName

// LogLines cuts what a program writes, in pieces as it came, into the lines
// that are logged, without a limit on their number.
func LogLines(log func(string), pieces ...[]byte) {
	l := &program.Lines{Emit: log, Allow: func() bool { return true }}
	for _, p := range pieces {
		l.Write(p)
	}
	l.Flush()
}

// Unfit returns why a client's value must not begin an argument.
func Unfit(v string) string { return unfit(v, true) }

// Spares returns the ids of the programs that wait for clients, the oldest
// first.
func (h *Handler) Spares() (pids []int) {
	p := h.pool.Load()
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.idle {
		pids = append(pids, s.p.Pid)
	}
	return pids
}

// MaxStarting is how many spare programs may be at their start at once.
const MaxStarting = maxStarting
