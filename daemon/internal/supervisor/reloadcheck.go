package supervisor

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/internal/identity"
	"netserver/internal/place"
	"netserver/internal/systemd"
)

// checkTime bounds the check of a new configuration.
const checkTime = 30 * time.Second

// checkers are the processes that check a configuration. They must not outlive
// the supervisor, however long they take.
type checkers struct {
	mu   sync.Mutex
	list map[*childproc.Child]struct{}
	over bool
}

func (c *checkers) add(child *childproc.Child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list == nil {
		c.list = make(map[*childproc.Child]struct{})
	}
	c.list[child] = struct{}{}
	if c.over {
		child.KillGroup()
	}
}

func (c *checkers) remove(child *childproc.Child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.list, child)
}

// end kills them, and any that come later.
func (c *checkers) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	for child := range c.list {
		child.KillGroup()
	}
}

// askCheck has the configuration checked. A checking process that was ended by
// a signal for the supervisor, before it could ignore it, is started again.
func (s *supervisor) askCheck(binary *childproc.Binary) (pl *wire.Plan, contents map[string][]byte, err error) {
	for range maxEarlyEnds {
		var how string
		if pl, contents, how, err = s.askCheckOnce(binary); err == nil || !isSupervisors(how) {
			break
		}
	}
	return pl, contents, err
}

// askCheckOnce also returns how the process ended.
func (s *supervisor) askCheckOnce(binary *childproc.Binary) (pl *wire.Plan, contents map[string][]byte, how string, err error) {
	c, err := childproc.Start{
		Binary: binary, Role: wire.RoleCheck, Args: append([]string{os.Args[0]}, s.o.Args...), Env: systemd.WithoutManager(s.o.Environ),
		Stdout: os.Stdout, Stderr: s.o.stderrFile(),
	}.Start()
	if err != nil {
		return nil, nil, "", err
	}
	defer c.Link.Close()
	s.reloads.checkers.add(c)
	t := time.AfterFunc(checkTime, c.KillGroup)
	defer t.Stop()
	m, err := wire.ReceiveFrom(c.Link, wire.MaxPlan, wire.Peer{Sender: wire.FromCheck})
	c.Link.Close()
	how = c.Wait()
	s.reloads.checkers.remove(c)
	switch {
	case err != nil && how != "":
		return nil, nil, how, fmt.Errorf("the program %s failed: %s", binary.Name(), how)
	case err != nil:
		return nil, nil, how, fmt.Errorf("the program %s did not check the configuration: %w", binary.Name(), err)
	case m.Op == wire.OpFailed:
		var errs []error
		for _, l := range m.Lines {
			errs = append(errs, errors.New(l))
		}
		return nil, nil, how, errors.Join(errs...)
	}
	return m.Plan, m.Contents, how, nil
}

// strictBinary is strictFiles for the program's file as it is now, before it is
// executed to check a new configuration: what others could have written there
// would run as root.
func (s *supervisor) strictBinary(b *childproc.Binary) error {
	strict := s.conf.StrictFiles
	if !strict && !identity.IsRoot() {
		return nil
	}
	err := place.Unwritable(b.Name())
	switch {
	case err == nil || errors.Is(err, os.ErrNotExist):
		return nil
	case strict:
		return fmt.Errorf("%s: the server's own program %s can be changed by others: %w; it is not executed", "strict_files", b.Name(), err)
	}
	s.log.Warn(fmt.Sprintf("the server's own program %s can be changed by others: %v (%s 1 refuses that)", b.Name(), err, "strict_files"))
	return nil
}
