package daemon

import (
	"errors"
	"fmt"
	"os"

	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
)

// background starts this program again as a supervisor in the background, and
// waits until that serves or has failed.
func (v *invocation) background(c *Config) (int, error) {
	binary, err := childproc.Self()
	if err != nil {
		return wire.ExitFailed, err
	}
	defer binary.Close()
	st := childproc.Start{
		Binary: binary, Role: wire.RoleBackground, Args: append([]string{os.Args[0]}, v.argv...), Env: v.environ,
	}
	if !c.Process.Setsid {
		st.Stdout = os.Stdout
		if c.LogFile == "" {
			st.Stderr = v.stderrFile()
		}
	}
	child, err := st.Start()
	if err != nil {
		return wire.ExitFailed, err
	}
	defer child.Link.Close()
	m, err := wire.Receive(child.Link, wire.MaxPlan)
	switch {
	case err == nil && m.Op == wire.OpReady:
		if c.LogLevel >= 2 {
			fmt.Fprintf(v.stdout, "netserver: serving in the background as process %d\n", child.Pid())
		}
		return wire.ExitDone, nil
	case err == nil && m.Op == wire.OpFailed:
		var errs []error
		for _, l := range m.Lines {
			errs = append(errs, errors.New(l))
		}
		child.Wait()
		return wire.ExitFailed, errors.Join(errs...)
	}
	return wire.ExitFailed, fmt.Errorf("the server exited before it was ready: %s", child.Wait())
}

// tellFront tells the process that put this one into the background how the
// start went. It returns the error if there is none to tell it to.
func (v *invocation) tellFront(err error) error {
	if v.role() != wire.RoleBackground {
		return err
	}
	m := wire.Message{Op: wire.OpReady}
	if err != nil {
		m.Op = wire.OpFailed
		for _, e := range logging.Split(err) {
			m.Lines = append(m.Lines, e.Error())
		}
	}
	wire.Send(v.part.Link, m) // if it is gone, nobody waits for it
	v.part.Link.Close()
	return err
}
