package child

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Command returns what starts this program again in a role, which the
// environment variable env tells it as JSON.
func Command(env string, role any) (*exec.Cmd, error) {
	b, err := json.Marshal(role)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), env+"="+string(b))
	return cmd, nil
}

// Role reads the role of this process from env. It reports whether there is
// one.
func Role(env string, role any) (bool, error) {
	text, ok := os.LookupEnv(env)
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal([]byte(text), role); err != nil {
		return true, fmt.Errorf("%s: %w", env, err)
	}
	return true, nil
}

// readyLine is what a process prints when its measured part may begin.
const readyLine = "ready\n"

// Ready tells the process that started this one that all is prepared, and
// waits until it may go on.
func Ready() error {
	if _, err := io.WriteString(os.Stdout, readyLine); err != nil {
		return err
	}
	_, err := os.Stdin.Read(make([]byte, 1))
	return err
}

// A Child is a process in a role. All methods may be used on nil, which is
// none. It belongs to one goroutine.
type Child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	done   bool
}

// Start starts the process. The caller must Wait or End.
func Start(cmd *exec.Cmd) (*Child, error) {
	c := &Child{cmd: cmd}
	cmd.Stderr = &c.stderr
	cmd.SysProcAttr = endWithUs()
	cmd.WaitDelay = time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.out = in, bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return c, nil
}

// AwaitReady waits until the process has called Ready.
func (c *Child) AwaitReady() error {
	line, err := c.out.ReadString('\n')
	if err == nil && line == readyLine {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("it said %q", line)
	}
	return errors.Join(fmt.Errorf("the load was not ready: %w", err), c.Wait(nil))
}

// Go lets a process go on that is ready.
func (c *Child) Go() error {
	_, err := io.WriteString(c.in, "\n")
	return err
}

// Read reads the result of the process, which may go on after it.
func (c *Child) Read(result any) error {
	if err := json.NewDecoder(c.out).Decode(result); err != nil {
		return errors.Join(fmt.Errorf("no result: %w", err), c.Wait(nil))
	}
	return nil
}

// Wait reads the result of the process, unless result is nil, and waits for
// its end.
func (c *Child) Wait(result any) error {
	if c == nil || c.done {
		return nil
	}
	c.done = true
	var bad error
	if result != nil {
		bad = json.NewDecoder(c.out).Decode(result)
	}
	io.Copy(io.Discard, c.out) // Wait closes the pipe
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("the generator: %w: %s", err, bytes.TrimSpace(c.stderr.Bytes()))
	}
	return bad
}

// End tells the process to end and reads its result, unless that has been
// done.
func (c *Child) End(result any) error {
	if c == nil || c.done {
		return nil
	}
	c.cmd.Process.Signal(syscall.SIGTERM)
	return c.Wait(result)
}

// Interrupt tells the process to end; Wait or End must follow. It may be called
// at any time, by anybody.
func (c *Child) Interrupt() { c.cmd.Process.Signal(syscall.SIGTERM) }

// ID returns the process's id.
func (c *Child) ID() int { return c.cmd.Process.Pid }

// CPU returns the CPU time that the process has used, when it has ended.
func (c *Child) CPU() time.Duration {
	if c == nil || c.cmd.ProcessState == nil {
		return 0
	}
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
}

// Tell tells the process that started this one its result.
func Tell(result any) error { return json.NewEncoder(os.Stdout).Encode(result) }
