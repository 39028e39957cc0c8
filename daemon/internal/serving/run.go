package serving

import (
	"netserver"
	"netserver/handler/exec"
)

// runHandler makes a handler that runs a program for each client.
func (m *maker) runHandler(s *Service) (netserver.Handler, error) {
	e := &exec.Handler{
		Path: s.Program[0], Args: s.Program[1:],
		Stderr: exec.Stderr(s.ExecStderr), KillGrace: s.ExecKillAfter,
		Pipes: s.ExecPipes, Env: s.ExecEnv,
	}
	s.Exec.fill(e)
	if err := s.Exec.mayBecome(m.env); err != nil {
		return nil, err
	}
	if m.env.Jailed {
		return e, nil // it is looked for below the root directory later
	}
	return e, e.Check()
}
