package tlsparams

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"netserver/internal/certfile"
)

// passwordTime bounds how long SSL_passwd_command may run.
const passwordTime = 10 * time.Second

// maxPassword bounds what it may print, and a password, in bytes.
const maxPassword = 4096

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
			pw, err := firstLine(data)
			if err != nil {
				clear(data)
				return nil, fmt.Errorf("SSL_passwd_file %s %w", p.PasswdFile, err)
			}
			return pw, nil
		}
	case p.PasswdCommand != "":
		return func(file string) ([]byte, error) { return runPassword(p.PasswdCommand, file) }
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

// firstLine keeps blanks: they may belong to the password. What no password
// begins with or holds is an error, which the wrong one would hide.
func firstLine(data []byte) ([]byte, error) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	switch {
	case len(line) == 0:
		return nil, errors.New("has nothing in its first line, where the password belongs")
	case len(line) > maxPassword:
		return nil, fmt.Errorf("has a first line of more than %d bytes", maxPassword)
	case bytes.HasPrefix(line, []byte("\xef\xbb\xbf")):
		return nil, errors.New("begins with a byte order mark; save it without")
	case bytes.IndexByte(line, 0) >= 0:
		return nil, errors.New("holds NUL bytes: it is damaged, or UTF-16 text")
	}
	return line, nil
}

// runPassword runs the command with the encrypted file's name in the
// environment. Its error shows neither arguments nor output.
func runPassword(command, file string) ([]byte, error) {
	args := strings.Fields(command)
	if len(args) == 0 {
		return nil, errors.New("SSL_passwd_command is empty")
	}
	ctx, cancel := context.WithTimeout(context.Background(), passwordTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(cmd.Environ(), "SSL_PASSWD_FOR="+file)
	cmd.WaitDelay = time.Second
	alone(cmd)
	out := &limitedBuffer{}
	cmd.Stdout = out
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("SSL_passwd_command %s did not end within %v", args[0], passwordTime)
	case err != nil:
		return nil, fmt.Errorf("SSL_passwd_command %s failed: %w", args[0], err)
	case out.over:
		return nil, fmt.Errorf("SSL_passwd_command %s printed more than %d bytes", args[0], maxPassword)
	}
	pw, err := firstLine(out.data)
	if err != nil {
		return nil, fmt.Errorf("what SSL_passwd_command %s prints %w", args[0], err)
	}
	return pw, nil
}

type limitedBuffer struct {
	data []byte
	over bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > maxPassword {
		b.over = true
		return len(p), nil
	}
	b.data = append(b.data, p...)
	return len(p), nil
}
