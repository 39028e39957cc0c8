package serving

import (
	"errors"
	"fmt"

	"netserver"
	"netserver/conf"
	"netserver/handler/exec"
	"netserver/port"
)

// runHandler makes a handler that runs a program for each client.
func (m *maker) runHandler(s *Service) (netserver.Handler, error) {
	e := &exec.Handler{
		Path: s.Program[0], Args: s.Program[1:],
		Stderr: exec.Stderr(s.ExecStderr), KillGrace: s.ExecKillAfter,
		Pipes: s.ExecPipes, Spare: s.ExecSpare, Env: s.ExecEnv,
	}
	s.Exec.fill(e)
	if err := s.Exec.mayBecome(m.env); err != nil {
		return nil, err
	}
	if err := s.maySpare(); err != nil {
		return nil, err
	}
	m.programs, m.starters = append(m.programs, e), append(m.starters, e)
	if m.env.Jailed {
		return e, nil // it is looked for below the root directory later
	}
	return e, e.Check()
}

// checkArguments refuses a program for a port none of whose clients could have
// the values that its arguments name.
func checkArguments(spec port.Spec, s *Service) error {
	if spec.IsTLS() {
		return nil
	}
	for _, leaf := range s.Leaves() {
		if !leaf.is(runs) {
			continue
		}
		e := exec.Handler{Args: leaf.Program[1:], Substitute: leaf.Exec.Substitute}
		if name := e.NeedsTLS(); name != "" {
			return located(fmt.Errorf("port %s: its clients have no %%{%s}, which TLS brings: write it as PORT/ssl or PATH|unixssl, or leave that out", spec.Short(), name), leaf.at)
		}
	}
	return nil
}

// maySpare returns why programs of s cannot wait for clients.
func (s *Service) maySpare() error {
	why := ""
	switch {
	case s.ExecSpare <= 0:
	case s.Exec.Substitute:
		why = "spare programs have their arguments before their client is known, so that exec_substitute has nothing to put there"
	case s.Exec.PTY:
		why = "a spare program would wait at a terminal that nobody sits at (exec_pty)"
	}
	if why == "" {
		return nil
	}
	return &conf.Problem{Key: keyExecSpare, Err: errors.New(why), Hint: "leave one of them out"}
}
