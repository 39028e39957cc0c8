package tlsparams

import (
	"fmt"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/password"
)

// passwords returns the function that finds the password of a file, or nil.
func (p *Params) passwords(env *Env) func(string) ([]byte, error) {
	switch {
	case env.Hooks.Password != nil:
		return env.Hooks.Password
	case p.PasswdFile != "":
		return func(string) ([]byte, error) {
			data, err := (&certfile.Loader{ReadFile: env.ReadFile}).Read(certfile.RoleKey, p.PasswdFile)
			if err != nil {
				return nil, fmt.Errorf("SSL_passwd_file %w", err)
			}
			pw, err := password.FirstLine(data)
			if err != nil {
				clear(data)
				return nil, fmt.Errorf("SSL_passwd_file %s %w", p.PasswdFile, err)
			}
			return pw, nil
		}
	case p.PasswdCommand != "":
		return func(file string) ([]byte, error) { return password.Run(p.PasswdCommand, file) }
	}
	return nil
}

// checkPasswords refuses two sources of passwords, of which one would not be
// asked.
func (s *Source) checkPasswords() error {
	if s.p.PasswdFile == "" || s.p.PasswdCommand == "" {
		return nil
	}
	return s.p.fail(s.env.Where, "SSL_passwd_command", "", "stands beside SSL_passwd_file, and only one of them can be asked; remove one", nil)
}

// warnPasswords tells of a source of passwords that nothing needs, since no
// key is encrypted: its owner may think that one is.
func (s *Source) warnPasswords() {
	if s.asked.Load() || s.env.Hooks.Password != nil || s.env.Pair != nil { // then keys are read elsewhere
		return
	}
	const unused = "is not used: no key here is encrypted; encrypt it, or remove the parameter"
	switch {
	case s.p.PasswdFile != "":
		s.warn("SSL_passwd_file", s.p.PasswdFile, unused)
	case s.p.PasswdCommand != "":
		s.warn("SSL_passwd_command", "", unused)
	}
}
