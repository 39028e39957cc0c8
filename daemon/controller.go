package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"netserver/access"
	"netserver/daemon/internal/wire"
	"netserver/internal/control"
)

// A backend is what the control socket controls: a supervisor with its
// workers, or a server in one process. All methods may be called concurrently.
type backend interface {
	// members returns the processes that serve clients, by number.
	Members() []wire.Member
	// overview returns what is known without asking any of them.
	Overview() *control.Status
	// ask asks one of them. The error is a *wire.SilentError if it does not answer.
	Ask(context.Context, wire.Member, wire.Ask) (wire.Answer, error)
	Reload(ctx context.Context, dry bool) (*control.Reload, error)
	// end ends the server, with the grace time for clients or at once.
	End(cut bool)
	Grace() time.Duration
	// ended is closed when the last client is gone.
	Ended() <-chan struct{}
}

// A controller answers the control socket's clients.
type controller struct {
	backend
	log    *slog.Logger
	server control.Server
	rounds chan struct{} // a place for each question that is being asked of the members

	mu     sync.Mutex
	ending time.Time // when it was told to end
}

// roundsAtOnce bounds how many questions a worker has at once.
const roundsAtOnce = 4

// openControl opens the control socket, if there is to be one; nil is none.
func (c *Config) openControl(ctx context.Context, log *slog.Logger, b backend) (*controller, error) {
	a, err := c.Process.Control.access(c.Type == typeINET)
	if err != nil || a.socket.Path == "" {
		return nil, err
	}
	l, err := a.socket.Listen(ctx)
	if err != nil {
		return nil, err
	}
	k := &controller{backend: b, log: log, rounds: make(chan struct{}, roundsAtOnce)}
	k.server = control.Server{Allow: a.allow, Handle: k.handle, Fail: func(err error) {
		log.Error("the control socket cannot take a client", "err", err)
	}}
	k.server.Serve(l)
	return k, nil
}

// close ends it and removes the socket.
func (k *controller) close() {
	if k == nil {
		return
	}
	if err := k.server.Close(); err != nil {
		k.log.Error("control_socket: " + err.Error())
	}
}

// handle carries out one request.
func (k *controller) handle(ctx context.Context, by *access.Cred, r *control.Request, to *control.Answer) error {
	switch r.Verb {
	case control.VerbStatus:
		return to.Send("status", k.status(ctx))
	case control.VerbConns:
		return k.conns(ctx, r, to)
	case control.VerbLimits:
		return to.Send("limits", k.limits(ctx, orDefault(r.Limit, control.DefaultTop)))
	case control.VerbPenalties:
		return to.Send("penalties", k.penalties(ctx))
	}
	if r.DryRun {
		k.log.Debug("control: " + who(by) + " asks what a reload would do")
	} else {
		notice(k.log, strings.TrimSpace("control: "+who(by)+" says "+r.Verb+" "+r.ID+r.Network))
	}
	switch r.Verb {
	case control.VerbKill:
		return k.kill(ctx, r, to)
	case control.VerbLift:
		return k.lift(ctx, r, to)
	case control.VerbReload:
		res, err := k.Reload(ctx, r.DryRun)
		if err != nil {
			return err
		}
		return to.Send("reload", res)
	case control.VerbDrain, control.VerbStop:
		return k.leave(ctx, r, to)
	}
	return fmt.Errorf("%s cannot be done", r.Verb)
}

func who(c *access.Cred) string {
	if c.PID > 0 {
		return fmt.Sprintf("user %d (process %d)", c.UID, c.PID)
	}
	return fmt.Sprintf("user %d", c.UID)
}

// kill ends one client.
func (k *controller) kill(ctx context.Context, r *control.Request, to *control.Answer) error {
	id, err := control.ParseID(r.ID)
	if err != nil {
		return err
	}
	for _, m := range k.Members() {
		if m.ID != id.Worker || !m.Ready {
			continue
		}
		a, err := k.round(ctx, m, wire.Ask{What: wire.AskKill, Client: id.Client})
		if err != nil {
			return fmt.Errorf("worker %d: %w", m.ID, err)
		}
		if a.Found {
			return to.Send("kill", control.Killed{ID: id.String()})
		}
	}
	return fmt.Errorf("there is no client %s; it may have left (conns lists those that are here)", id)
}

// lookEvery is how often who waits for the end of the server is told who is
// still here, and lookList how many of them at most.
const (
	lookEvery = time.Second
	lookList  = 20
)

// leave ends the server, and tells who is still here until it has ended.
func (k *controller) leave(ctx context.Context, r *control.Request, to *control.Answer) error {
	begin := k.begin()
	cut := r.Verb == control.VerbStop
	k.End(cut)
	if !r.Wait {
		return nil
	}
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		look := control.Leaving{Elapsed: wire.InSeconds(time.Since(begin)), Clients: []control.Client{}, Silent: []control.Silent{}}
		if !cut {
			look.Grace = k.Grace().Seconds()
		}
		select {
		case <-k.Ended():
			look.Done = true
			return to.Send("leaving", look)
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		k.stillHere(ctx, &look)
		if err := to.Send("leaving", look); err != nil {
			return err
		}
		select {
		case <-t.C:
		case <-k.Ended():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// begin returns since when the server is ending.
func (k *controller) begin() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ending.IsZero() {
		k.ending = time.Now()
	}
	return k.ending
}

// stillHere lists the first clients of each member, and counts all.
func (k *controller) stillHere(ctx context.Context, look *control.Leaving) {
	for _, got := range k.all(ctx, wire.Ask{What: wire.AskClients, N: lookList}, &look.Silent) {
		look.Count += got.a.Count
		for _, c := range got.a.Clients {
			if len(look.Clients) < lookList {
				look.Clients = append(look.Clients, got.m.Own(c))
			}
		}
	}
}

// round asks one member when there is a place for one more question.
func (k *controller) round(ctx context.Context, m wire.Member, q wire.Ask) (wire.Answer, error) {
	select {
	case k.rounds <- struct{}{}:
		defer func() { <-k.rounds }()
		return k.Ask(ctx, m, q)
	case <-ctx.Done():
		return wire.Answer{}, context.Cause(ctx)
	}
}

// An answered is a member's answer.
type answered struct {
	m wire.Member
	a wire.Answer
}

// all asks all members at once, and returns the answers by number. Those that
// do not answer in time are added to silent.
func (k *controller) all(ctx context.Context, q wire.Ask, silent *[]control.Silent) []answered {
	select {
	case k.rounds <- struct{}{}:
		defer func() { <-k.rounds }()
	case <-ctx.Done():
		return nil
	}
	ms := k.Members()
	got := make([]wire.Answer, len(ms))
	errs := make([]error, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		if !m.Ready {
			errs[i] = wire.ErrGone
			continue
		}
		wg.Go(func() { got[i], errs[i] = k.Ask(ctx, m, q) })
	}
	wg.Wait()
	var list []answered
	for i, m := range ms {
		if errs[i] == nil {
			list = append(list, answered{m, got[i]})
			continue
		}
		noteSilent(m, errs[i], silent)
	}
	return list
}

// noteSilent adds m to the list: it did not answer, or not what was asked, as
// one of an older program may. One that has ended is missing for a good reason.
func noteSilent(m wire.Member, err error, silent *[]control.Silent) {
	if errors.Is(err, wire.ErrGone) {
		return
	}
	s := control.Silent{Worker: m.ID, PID: m.PID}
	if e := (*wire.SilentError)(nil); errors.As(err, &e) {
		s.For = wire.InSeconds(e.Since)
	}
	*silent = append(*silent, s)
}

// ownProcess is the one member of a server without a supervisor.
func ownProcess() wire.Member { return wire.Member{PID: os.Getpid(), Ready: true} }
