package daemon

import (
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"netserver/conf"
)

// JobsConfig is what is run now and then beside serving clients: Net::Server's
// dequeue processes. A job is a process with the identity, the limits and the
// confinement of a worker, but no ports. What it runs is Command, or for Run
// Hooks.RunDequeue. There are jobs if both Every and Max are above 0.
type JobsConfig struct {
	// Every is the time between the starts of two jobs, 100 ms at least; the
	// first is started so long after the server serves. 0 is no jobs.
	Every time.Duration
	// Max is how many jobs may run at once. A start that is due while so many
	// run is left out. 0 is no jobs.
	Max int
	// Command is a program and its arguments. No shell reads them.
	Command []string
}

const (
	groupJobs = "jobs"

	// minEvery keeps a job that fails at once from taking the machine.
	minEvery = 100 * time.Millisecond
)

func (j *JobsConfig) define(s *conf.Set) {
	define := func(theirs, list bool, name, arg, help string, b conf.Binder) {
		s.Define(conf.Key{Name: name, Group: groupJobs, Arg: arg, Help: help, List: list, NetServer: theirs, When: factSupervisor}, b)
	}
	define(true, false, "check_for_dequeue", "SECONDS", "between the starts of two jobs, 0.1 at least (default: no jobs)", conf.Seconds(&j.Every, 0, 365*24*time.Hour))
	define(true, false, "max_dequeue", "N", "jobs that may run at once; while so many run, no other is started (default: no jobs)", conf.Int(&j.Max, 0, math.MaxInt16))
	define(false, true, "dequeue_command", "WORD", "program that a job runs, as the user that serves the clients, and its arguments: a word each time the key is given, and no shell reads them", conf.Strings(&j.Command))
}

// check finds what does not fit together. hook says whether the program has a
// function for jobs.
func (j *JobsConfig) check(res *conf.Result, hook, chrooted bool) error {
	var errs []error
	off := func(key string, zero bool) {
		if zero && len(res.Get(key)) == 0 {
			errs = append(errs, fmt.Errorf("dequeue_command is given without %s, and would never run; set %s, or 0 if it is not to run", key, key))
		}
	}
	switch {
	case len(j.Command) > 0 && hook:
		errs = append(errs, errors.New("dequeue_command: the program has its own function for jobs; leave the key out"))
	case len(j.Command) > 0:
		off("check_for_dequeue", j.Every == 0)
		off("max_dequeue", j.Max == 0)
		if !chrooted {
			errs = append(errs, j.find())
		}
	case !hook && (j.Every > 0 || j.Max > 0):
		errs = append(errs, errors.New("check_for_dequeue and max_dequeue say when jobs run, and there is none; dequeue_command says what to run"))
	}
	if j.Every > 0 && j.Every < minEvery {
		errs = append(errs, fmt.Errorf("check_for_dequeue %v is too short: %v is the least", j.Every, minEvery))
	}
	return errors.Join(errs...)
}

// find looks for the program, as this process sees the files.
func (j *JobsConfig) find() error {
	if len(j.Command) == 0 {
		return nil
	}
	for _, word := range j.Command {
		if strings.IndexByte(word, 0) >= 0 {
			return errors.New("dequeue_command has a NUL byte in it")
		}
	}
	name := j.Command[0]
	_, err := exec.LookPath(name)
	if err == nil {
		return nil
	}
	var why *exec.Error
	if errors.As(err, &why) {
		err = why.Err
	}
	err = fmt.Errorf("dequeue_command: %s: %w", name, err)
	if first, _, ok := strings.Cut(name, " "); ok {
		if _, found := exec.LookPath(first); found == nil {
			return fmt.Errorf("%w; give each argument with a dequeue_command of its own: no shell splits the words", err)
		}
	}
	if !filepath.IsAbs(name) {
		return fmt.Errorf("%w; write its whole path", err)
	}
	return err
}
