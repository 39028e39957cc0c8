package tlsparams

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"netserver/tlsparams/certfile"
)

// passwordTime bounds how long SSL_passwd_command may run.
const passwordTime = 10 * time.Second

// maxPassword bounds what it may print, in bytes.
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
			return firstLine(data), nil
		}
	case p.PasswdCommand != "":
		return func(file string) ([]byte, error) { return runPassword(p.PasswdCommand, file) }
	}
	return nil
}

// firstLine keeps blanks: they may belong to the password.
func firstLine(data []byte) []byte {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
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
	return firstLine(out.data), nil
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
