package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"netserver/bench/child"
	"netserver/bench/drive"
	"netserver/bench/loopback"
	"netserver/bench/machine"
	"netserver/bench/peers"
)

const (
	startTries = 3
	tailTime   = 10 * time.Millisecond // for a server to close its last clients
	spareFiles = 600                   // descriptors that a server needs beside its clients'
)

// A sample is one measurement of a server in a row.
type sample struct {
	Row, Server string
	Round       int // from 1
	Load        drive.Result
	Held        int           // connections held meanwhile
	CPU         time.Duration // of the server, for Load
	Clients     time.Duration // CPU of the clients, for Load
	Window      time.Duration
	Others      float64       // processors that others on the machine used meanwhile
	Base        int64         // memory of the fresh server, in bytes: each process's share of what processes share
	Start       time.Duration // from the start of the server until it had answered its first client, if the row is about that
	Memory      int64         // the same while it holds connections; 0 if it was not looked at
	Err         string
	Unable      bool `json:"-"` // the server cannot do it at all
}

// A runner measures.
type runner struct {
	o          options
	kit        kit
	dir, web   string
	ecdsa, rsa peers.Place
	running    map[string]*server
	backends   []*server // echo, source, packets
}

// A server is a contestant that runs.
type server struct {
	*peers.Process
	socket string
}

func (r *runner) stopServers() {
	for name, s := range r.running {
		s.Stop()
		delete(r.running, name)
	}
}

func (r *runner) stopAll() {
	r.stopServers()
	for _, b := range r.backends {
		b.Stop()
	}
}

// backend starts what proxies pass on to, a server of bench/serve.
func (r *runner) backend(ctx context.Context, kind string) (*server, error) {
	load := drive.Options{Kind: drive.Connect}
	at := peers.Place{Plain: true}
	switch kind {
	case "source":
		load.Kind, at.Source = drive.Download, true
	case "packets":
		load.Kind, load.Size, at.Datagram = drive.Packets, 100, true
	}
	return r.tries(ctx, "backend", at, load, func(k kit, at peers.Place) (*exec.Cmd, error) {
		return serveCommand(k, at, kind), nil
	})
}

// tries starts a server. Another process may have taken its port meanwhile, so
// it tries again.
func (r *runner) tries(ctx context.Context, name string, at peers.Place, load drive.Options, command func(kit, peers.Place) (*exec.Cmd, error)) (*server, error) {
	var failed error
	for range startTries {
		dir, err := os.MkdirTemp(r.dir, name)
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
		if err != nil {
			return nil, err
		}
		at := at
		at.Dir = dir
		if at.Socket != "" {
			at.Socket = filepath.Join(dir, "s")
		}
		if at.Port, err = loopback.FreePort(); err != nil {
			return nil, err
		}
		cmd, err := command(r.kit, at)
		if err != nil {
			return nil, err
		}
		peers.Apart(cmd)
		try := load
		try.To, try.Socket = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port), at.Socket
		p, err := peers.StartTried(ctx, cmd, at.Port, func(ctx context.Context) error { return drive.Once(ctx, try) })
		if err == nil {
			return &server{p, at.Socket}, nil
		}
		if failed = err; ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("it does not start: %w", failed)
}

// server returns the running server of a contestant, started now if need be.
func (r *runner) server(ctx context.Context, w row, c contestant) (*server, error) {
	if s := r.running[c.name]; s != nil {
		return s, nil
	}
	at := r.ecdsa
	if w.rsa {
		at = r.rsa
	}
	if w.place != nil {
		w.place(&at)
	}
	at.Backend = r.backends[0].Addr.Port()
	switch {
	case at.Source:
		at.Backend = r.backends[1].Addr.Port()
	case at.Datagram:
		at.Backend = r.backends[2].Addr.Port()
	case at.Web != "":
		at.Web = r.web
	}
	load := w.load // as simple as the row lets it be
	load.Version, load.Group, load.Resume = 0, 0, false
	if load.Kind == drive.Hold {
		load.Kind = drive.Connect
	}
	command := func(k kit, at peers.Place) (*exec.Cmd, error) {
		cmd, err := c.command(k, at)
		if err != nil {
			return nil, err
		}
		if why := c.refused(k, cmd); why != "" {
			return nil, fmt.Errorf("%w: %s", errRefused, why)
		}
		return cmd, nil
	}
	s, err := r.tries(ctx, c.name, at, load, command)
	if err != nil {
		return nil, err
	}
	if !w.fresh {
		if err := r.warm(ctx, s, load); err != nil {
			s.Stop()
			return nil, err
		}
	}
	r.running[c.name] = s
	return s, nil
}

// warm lets a new server do some work that is not measured.
func (r *runner) warm(ctx context.Context, s *server, load drive.Options) error {
	load.To, load.Socket, load.Duration, load.Held, load.Rate = s.Addr, s.socket, r.o.duration, 0, 0
	load.Conns = max(load.Conns, 1)
	cmd, err := child.Command(roleEnv, load)
	if err != nil {
		return err
	}
	c, err := child.Start(cmd)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, c.Interrupt)()
	if err := errors.Join(c.AwaitReady(), c.Go()); err != nil {
		return errors.Join(err, c.End(nil))
	}
	var done drive.Result
	return c.Wait(&done)
}

var errRefused = errors.New("skipped")

// cell makes one measurement.
func (r *runner) cell(ctx context.Context, w row, c contestant, round int) sample {
	s := sample{Row: w.name, Server: c.name, Round: round}
	srv, err := r.server(ctx, w, c)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		s.Unable = true
		return s
	case err == nil && round == 1:
		o := w.load
		o.To, o.Socket = srv.Addr, srv.socket
		if o.Kind == drive.Hold {
			o.Kind = drive.Connect
		}
		err = drive.Once(ctx, o)
	}
	if err != nil {
		s.Err, s.Unable = err.Error(), round == 1
		return s
	}
	if err := r.fill(ctx, &s, w, c, srv); err != nil {
		s.Err = err.Error()
	}
	if w.fresh {
		srv.Stop()
		delete(r.running, c.name)
	}
	return s
}

// fill measures a server that runs.
func (r *runner) fill(ctx context.Context, s *sample, w row, c contestant, srv *server) (err error) {
	if w.how == byStart {
		u, err := srv.Usage()
		s.Start, s.CPU = srv.Took, u.CPU
		return err
	}
	o := w.load
	o.To, o.Socket = srv.Addr, srv.socket
	o.Held = r.affordable(o.Held, c)
	s.Held = o.Held
	if o.Kind == drive.Hold {
		if s.Base, err = srv.Share(); err != nil {
			return err
		}
		o.Duration = time.Millisecond
	}
	cmd, err := child.Command(roleEnv, o)
	if err != nil {
		return err
	}
	load, err := child.Start(cmd)
	if err != nil {
		return err
	}
	defer load.End(nil)
	defer context.AfterFunc(ctx, load.Interrupt)()
	if err := load.AwaitReady(); err != nil {
		return err
	}
	if w.settles {
		pause(ctx, r.o.settle)
	}
	if o.Kind == drive.Hold {
		if s.Memory, err = srv.Share(); err != nil {
			return err
		}
	}
	if err := r.between(s, load, srv); err != nil {
		return err
	}
	if why, bad := s.Load.Fails(); bad {
		return errors.New(why)
	}
	return nil
}

// between lets the load go and accounts for what everybody used until it has
// told its result.
func (r *runner) between(s *sample, load *child.Child, srv *server) error {
	before, err := r.account(load, srv)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := load.Go(); err != nil {
		return err
	}
	if err := load.Read(&s.Load); err != nil {
		return err
	}
	time.Sleep(tailTime)
	after, err := r.account(load, srv)
	if err != nil {
		return err
	}
	s.Window = time.Since(begin)
	s.CPU, s.Clients = after.server-before.server, after.clients-before.clients
	others := after.machine - before.machine - s.CPU - s.Clients - (after.backends - before.backends)
	s.Others = max(0, others.Seconds()/s.Window.Seconds())
	return nil
}

// An account is the CPU time that everybody has used.
type account struct{ server, clients, backends, machine time.Duration }

func (r *runner) account(load *child.Child, srv *server) (a account, err error) {
	u, err := srv.Usage()
	if err != nil {
		return a, err
	}
	a.server = u.CPU
	if a.clients, err = peers.CPU(load.ID()); err != nil {
		return a, err
	}
	for _, b := range r.backends {
		u, err := b.Usage()
		if err != nil {
			return a, err
		}
		a.backends += u.CPU
	}
	a.machine, err = peers.Busy()
	return a, err
}

// affordable returns how many of n connections a server of that kind can hold:
// a proxy needs two descriptors for each, and the limit holds for each process.
func (r *runner) affordable(n int, c contestant) int {
	limit, err := strconv.Atoi(machine.Descriptors())
	if err != nil { // there is none
		return n
	}
	most := limit - spareFiles
	if c.class == proxied {
		most /= 2
	}
	return max(min(n, most), 0)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func heldName(n int) string { return "held-" + strconv.Itoa(n) }

func heldTitle(n int) string {
	return fmt.Sprintf("full handshake while %d connections are open", n)
}
