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
	if s.ExecSpare > 0 && s.Exec.Substitute {
		return nil, &conf.Problem{Key: keyExecSpare, Err: errors.New("spare programs have their arguments before their client is known, so that exec_substitute has nothing to put there"), Hint: "leave one of them out"}
	}
	m.programs = append(m.programs, e)
	if m.env.Jailed {
		return e, nil // it is looked for below the root directory later
	}
	return e, e.Check()
}
