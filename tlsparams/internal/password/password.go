package password

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// passwordTime bounds how long SSL_passwd_command may run.
const passwordTime = 10 * time.Second

// maxPassword bounds what it may print, and a password, in bytes.
const maxPassword = 4096

// FirstLine returns the password in the first line of data. It keeps blanks: they may belong to the password. What no password
// begins with or holds is an error, which the wrong one would hide.
func FirstLine(data []byte) ([]byte, error) {
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

// Run runs the command with the encrypted file's name in the
// environment. Its error shows neither arguments nor output.
func Run(command, file string) ([]byte, error) {
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
	pw, err := FirstLine(out.data)
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
