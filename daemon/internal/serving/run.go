package serving

import (
	"errors"

	"netserver"
	"netserver/conf"
	"netserver/handler/exec"
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
	m.programs = append(m.programs, e)
	if m.env.Jailed {
		return e, nil // it is looked for below the root directory later
	}
	return e, e.Check()
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
