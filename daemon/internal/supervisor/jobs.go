package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/internal/childproc"
	"netserver/logs"
)

// A jobList is what a supervisor knows of its jobs. Its loop owns the fields.
type jobList struct {
	start   func() error // startJob, but for tests
	running map[*job]struct{}
	timer   *time.Timer // of the next start; nil is none
	last    time.Time   // when one was started or left out
	next    int         // number of the last
	full    bool        // it was logged that no more may run
}

// A job is a process that runs JobsConfig.Command or Hooks.RunDequeue once.
type job struct {
	*child
	output *os.File      // what it writes
	read   chan struct{} // closed when all of it has been read
}

const (
	// maxJobLine is how long a line of a job's output may be in the log.
	maxJobLine = 1024
	// jobLines is how many of them are taken in a second: a job that writes
	// more waits.
	jobLines = 1000
	// stopTime is what jobs have at the most when clients are cut.
	stopTime = 5 * time.Second
)

// scheduleJobs sets the time of the next job by the configuration of the
// generation that serves. A restart does not put it off.
func (s *supervisor) scheduleJobs() {
	l := &s.jobs
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if s.ending || !s.conf.hasJobs() {
		return
	}
	if l.last.IsZero() {
		l.last = time.Now()
		if l.start == nil {
			l.start = func() error { return s.startJob(s.newest()) }
		}
	}
	var t *time.Timer
	t = s.after(max(0, s.conf.JobEvery-time.Since(l.last)), func() {
		if l.timer == t { // no other has taken its place
			s.jobDue()
		}
	})
	l.timer = t
}

// jobDue starts a job, unless as many run as may.
func (s *supervisor) jobDue() {
	l := &s.jobs
	l.last = time.Now()
	if n := len(l.running); n >= s.conf.JobMax {
		if !l.full { // not each time, until there is room
			s.log.Info(fmt.Sprintf("not starting a job: %d already running", n))
		}
		l.full = true
	} else if err := l.start(); err != nil {
		s.log.Error("cannot start a job", "err", err)
	}
	s.scheduleJobs()
}

func (s *supervisor) startJob(g *generation) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	in := &wire.Start{Plan: jobPlan(g.plan), Generation: g.id, Job: true}
	c, err := s.startProcess(g, in, childproc.Start{Stdout: w, Stderr: w})
	w.Close()
	if err != nil {
		r.Close()
		return err
	}
	l := &s.jobs
	l.next++
	c.id = l.next
	j := &job{child: c, output: r, read: make(chan struct{})}
	if l.running == nil {
		l.running = make(map[*job]struct{})
	}
	l.running[j] = struct{}{}
	s.log.Debug(fmt.Sprintf("job %d started, pid %d", j.id, j.proc.Pid()))
	go s.logOutput(j)
	go s.attendJob(j)
	return nil
}

// jobPlan is a plan without what a job has no use for: ports and what their
// TLS is made from.
func jobPlan(pl *wire.Plan) *wire.Plan {
	p := &wire.Plan{Values: maps.Clone(pl.Values), Program: pl.Program}
	maps.DeleteFunc(p.Values, func(key string, _ []conf.Value) bool { return strings.HasPrefix(key, "SSL_") })
	return p
}

// logOutput logs what a job writes, line by line, until the last process that
// could write to it is gone, or attendJob has had enough.
func (s *supervisor) logOutput(j *job) {
	defer close(j.read)
	defer j.output.Close()
	r := bufio.NewReaderSize(j.output, maxJobLine)
	limit := wire.Limiter{PerSecond: jobLines}
	within := false // a line that was too long
	for {
		b, more, err := r.ReadLine()
		if err != nil {
			return
		}
		if !within {
			limit.Wait()
			text := string(b)
			if more {
				text += "..."
			}
			s.log.LogAttrs(context.Background(), logs.Notice, "job output",
				slog.Int("job", j.id), slog.String("line", text))
		}
		within = more
	}
}

// attendJob waits for a job's end, whatever becomes of its link.
func (s *supervisor) attendJob(j *job) {
	heard := make(chan struct{})
	go func() { defer close(heard); s.hearJob(j) }()
	how := j.proc.Wait()
	// What it has left behind would be counted by nobody.
	j.proc.KillGroup()
	s.lastWords(j.child, heard)
	j.output.SetReadDeadline(time.Now().Add(logging.FinishTime))
	<-j.read
	j.child.pipes.Finish()
	s.post(func() { s.reapJob(j, how) })
	j.proc.Link.Close()
}

// hearJob takes a job's messages: why it failed, in its own words.
func (s *supervisor) hearJob(j *job) {
	err := s.listenTo(j.child, wire.Peer{Sender: wire.FromJob}, 100, func(m wire.Message) error {
		s.post(func() { j.reason = m.Lines })
		return nil
	})
	s.heardLast(j.child, err)
}

// reapJob logs how a job ended.
func (s *supervisor) reapJob(j *job, how string) {
	j.gone = true
	close(j.outbox)
	if j.kill != nil {
		j.kill.Stop()
	}
	delete(s.jobs.running, j)
	s.jobs.full = false
	s.left.note()
	took := time.Since(j.began).Round(time.Millisecond)
	if j.broke {
		how = "it violated the protocol"
	}
	if len(j.reason) > 0 {
		how = strings.Join(j.reason, "; ")
	}
	switch {
	case how == "":
		s.log.Info(fmt.Sprintf("job %d (pid %d) finished after %v", j.id, j.proc.Pid(), took))
	case s.ending:
		logging.Notice(s.log, fmt.Sprintf("job %d (pid %d) was ended after %v: %s", j.id, j.proc.Pid(), took, how))
	default:
		s.log.Error(fmt.Sprintf("job %d (pid %d) failed after %v: %s", j.id, j.proc.Pid(), took, how))
	}
}

// endJobs asks the jobs to end, with TERM for a command, and kills those that
// do not: after the grace time, or sooner if clients are cut.
func (s *supervisor) endJobs(cut bool) {
	s.scheduleJobs() // there is no next
	for j := range s.jobs.running {
		d := j.gen.conf.Grace
		if cut {
			d = min(d, stopTime)
		}
		d = max(d, wire.LeastTime)
		j.tell(wire.Message{Op: wire.OpStop})
		if j.kill != nil {
			j.kill.Stop()
		}
		j.kill = s.after(d, func() {
			if !j.gone {
				s.log.Warn(fmt.Sprintf("job %d (pid %d) did not exit within %v of TERM; killing it", j.id, j.proc.Pid(), d))
				j.proc.KillGroup()
			}
		})
	}
}

// sorted returns the running jobs, oldest first.
func (l *jobList) sorted() []*job {
	return slices.SortedFunc(maps.Keys(l.running), func(a, b *job) int { return a.id - b.id })
}

// state describes the jobs, a line each.
func (l *jobList) state() []string {
	var list []string
	for _, j := range l.sorted() {
		list = append(list, fmt.Sprintf("state: job %d, pid %d, generation %d, up %s",
			j.id, j.proc.Pid(), j.gen.id, time.Since(j.began).Round(time.Second)))
	}
	return list
}
