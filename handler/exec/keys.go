package exec

import (
	"time"

	"netserver/conf"
)

// Define defines the keys that set h's fields.
func (h *Handler) Define(s *conf.Set) {
	const group = "program"
	s.Define(conf.Key{
		Name: "exec_stderr", Group: group, Arg: "WHERE", Default: string(StderrLog),
		Help: "where a program's standard error goes: log, client, drop or inherit (the server's own)",
	}, conf.Choice((*string)(&h.Stderr), string(StderrLog), string(StderrClient), string(StderrDrop), string(StderrInherit)))
	s.Define(conf.Key{
		Name: "exec_kill_after", Group: group, Arg: "SECONDS", Default: "5",
		Help: "time between TERM and KILL for a program whose client is gone, less than 10 seconds; none kills at once",
	}, conf.Seconds(&h.KillGrace, -1, maxKillGrace-time.Millisecond))
	s.Define(conf.Key{
		Name: "exec_wait_after", Group: group, Arg: "SECONDS", Default: "5",
		Help: "how long after a program's end what it left running may go on writing to the client; none is no time",
	}, conf.Seconds(&h.WaitDelay, -1, 0))
	s.Define(conf.Key{
		Name: "exec_dir", Group: group, Arg: "PATH",
		Help: "the programs' working directory; default the server's",
	}, conf.String(&h.Dir))
	s.Define(conf.Key{
		Name: "exec_pipes", Group: group,
		Help: "join plain TCP and UNIX clients by pipes, instead of handing programs their socket, so that limits and counts see their bytes",
	}, conf.Bool(&h.Pipes))
}
