package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"netserver/bench/command"
	"netserver/bench/honest"
)

const (
	stableTime = 2 * time.Second  // for a server to give back what it needed for a moment
	newTime    = 10 * time.Second // for a new client; one that waits longer has failed
)

// A result is what was found.
type result struct {
	o                  options
	root               bool
	ready              time.Duration
	hups, replacements []time.Duration // how long each restart took
	newcomers          honest.Result
	stayed             int
	lines              int64 // that those who stay got back
	lost               []error
	datagrams, unheard int
	sameProcess        bool
	before, after      state
	kills              []time.Duration // from the death of a process until a client was served
	killed             honest.Result   // newcomers meanwhile
	killedStayed       int             // those who stay in another process meanwhile
	killedLost         []error
	elapsed            time.Duration
}

// measure makes one measurement.
func measure(ctx context.Context, o options, progress io.Writer) (*result, error) {
	if err := needs(); err != nil {
		return nil, err
	}
	began := time.Now()
	w, err := command.NewWorkspace(ctx, "restart", o.binary, progress)
	if err != nil {
		return nil, err
	}
	defer w.Remove()
	s, err := start(ctx, w.Dir, w.Binary)
	if err != nil {
		return nil, err
	}
	r := &result{o: o, root: os.Geteuid() == 0, ready: s.ready}
	err = r.fill(ctx, s, progress)
	if err != nil {
		err = fmt.Errorf("%w\nthe end of the server's log:\n%s", err, tail(s.log(), 2000))
	}
	err = errors.Join(err, s.stop())
	r.elapsed = time.Since(began)
	return r, err
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

func (r *result) fill(ctx context.Context, s *server, progress io.Writer) error {
	if err := settle(ctx); err != nil {
		return err
	}
	var err error
	if r.before, err = stateOf(s.pid()); err != nil {
		return err
	}
	fmt.Fprintf(progress, "%d restarts\n", r.o.hups+r.o.replacements)
	if err := r.restarts(ctx, s); err != nil {
		return err
	}
	if err := r.onlyOne(ctx, s); err != nil {
		return err
	}
	if r.after, err = stateOf(s.pid()); err != nil {
		return err
	}
	r.sameProcess = alive(s.pid())
	fmt.Fprintf(progress, "%d kills\n", r.o.kills)
	return r.killing(ctx, s)
}

// settle waits until nothing is left of what was just done.
func settle(ctx context.Context) error {
	select {
	case <-time.After(stableTime):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// comers makes new TLS clients come until enough is closed.
func (r *result) comers(ctx context.Context, s *server, enough <-chan struct{}) <-chan honest.Result {
	done := make(chan honest.Result, 1)
	go func() {
		res, _ := honest.Run(ctx, honest.Options{
			To: s.ssl, From: netip.AddrFrom4([4]byte{127, 0, 0, 3}), TLS: true, Rate: r.o.rate,
			Duration: honest.MaxDuration, Timeout: newTime, Enough: enough,
		})
		done <- res
	}()
	return done
}

// restarts restarts the server under load.
func (r *result) restarts(ctx context.Context, s *server) error {
	st, err := honest.StartStay(ctx, s.tcp, s.ssl, r.o.stay)
	if err != nil {
		return err
	}
	us, err := startStream(s.udp, r.o.datagrams)
	if err != nil {
		st.End()
		return err
	}
	enough := make(chan struct{})
	comers := r.comers(ctx, s, enough)
	err = r.oneByOne(ctx, s)
	close(enough)
	r.newcomers = <-comers
	r.datagrams, r.unheard = us.end()
	r.stayed = st.Clients()
	r.lost = st.End()
	r.lines = st.Lines()
	return err
}

// oneByOne spreads the replacements evenly among the restarts.
func (r *result) oneByOne(ctx context.Context, s *server) error {
	total := r.o.hups + r.o.replacements
	for i := range total {
		replaced := (i+1)*r.o.replacements/total > i*r.o.replacements/total
		if replaced {
			if err := s.replace(); err != nil {
				return err
			}
		}
		d, err := s.restart(ctx)
		if err != nil {
			return fmt.Errorf("restart %d of %d: %w", i+1, total, err)
		}
		if replaced {
			r.replacements = append(r.replacements, d)
		} else {
			r.hups = append(r.hups, d)
		}
		select {
		case <-time.After(r.o.gap):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// onlyOne waits until the old serving processes have ended.
func (r *result) onlyOne(ctx context.Context, s *server) error {
	for deadline := time.Now().Add(30 * time.Second); len(children(s.pid())) != 1; {
		if time.Now().After(deadline) {
			return fmt.Errorf("the server still has %d processes", len(children(s.pid())))
		}
		time.Sleep(20 * time.Millisecond)
	}
	return settle(ctx)
}

// killing kills serving processes. Each is of a new generation, so that no
// second failure in a row puts its replacement off, and clients of the one
// before see whether they are left alone.
func (r *result) killing(ctx context.Context, s *server) error {
	if r.o.kills == 0 {
		return nil
	}
	st, err := honest.StartStay(ctx, s.tcp, s.ssl, 20)
	if err != nil {
		return err
	}
	enough := make(chan struct{})
	comers := r.comers(ctx, s, enough)
	for range r.o.kills {
		if err = r.kill(ctx, s); err != nil {
			break
		}
	}
	close(enough)
	r.killed = <-comers
	r.killedStayed = st.Clients()
	r.killedLost = st.End()
	return err
}

func (r *result) kill(ctx context.Context, s *server) error {
	if _, err := s.restart(ctx); err != nil {
		return err
	}
	pids := children(s.pid())
	if len(pids) == 0 {
		return errors.New("there is no serving process to kill")
	}
	victim := pids[len(pids)-1]
	began := time.Now()
	p, err := os.FindProcess(victim)
	if err != nil {
		return err
	}
	if err := p.Kill(); err != nil {
		return err
	}
	for alive(victim) {
		time.Sleep(50 * time.Microsecond)
	}
	one, cancel := context.WithTimeout(ctx, newTime)
	defer cancel()
	if err := honest.Once(one, netip.Addr{}, s.tcp, false); err != nil {
		return fmt.Errorf("the first client after a process was killed: %w", err)
	}
	r.kills = append(r.kills, time.Since(began))
	return nil
}
