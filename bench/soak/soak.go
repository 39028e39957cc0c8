package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"netserver/bench/command"
	"netserver/bench/honest"
	"netserver/bench/loopback"
	"netserver/bench/peers"
)

const (
	clients = 8 // of each load, at once
	// settles is for how long what the server holds may come down: it gives
	// memory back when it has been quiet, at most once a minute.
	settles = 100 * time.Second
)

// One part in warmShare of the clients, and warmLeast at least, come before the
// first look: the server's pools are filled then.
const (
	warmShare = 50
	warmLeast = 2000
)

// A load is the clients of one port.
type load struct {
	name  string
	port  uint16
	tls   bool
	share float64
	done  honest.Rate
}

// A result is what was found.
type result struct {
	o             options
	loads         []load
	before, after state
	settled       time.Duration // until after was no more than before
	elapsed       time.Duration // of the clients
}

// soak makes one measurement.
func soak(ctx context.Context, o options, progress io.Writer) (*result, error) {
	w, err := command.NewWorkspace(ctx, "soak", o.binary, progress)
	if err != nil {
		return nil, err
	}
	defer w.Remove()
	r := &result{o: o, loads: []load{
		{name: "TCP", share: 1 - o.tls - o.proxied},
		{name: "TLS", tls: true, share: o.tls},
		{name: "proxied TLS", tls: true, share: o.proxied},
	}}
	r.o.binary = w.Binary
	s, err := r.start(ctx, w.Dir)
	if err != nil {
		return nil, err
	}
	defer s.Stop()
	return r, r.fill(ctx, s, w.Dir, progress)
}

// start starts the server.
func (r *result) start(ctx context.Context, dir string) (*peers.Process, error) {
	var place peers.Place
	if err := place.WriteCertificate(dir); err != nil {
		return nil, err
	}
	for i := range r.loads {
		var err error
		if r.loads[i].port, err = loopback.FreePort(); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf(`control_socket = %q
key_isolation = 1
SSL_cert_file = %q
SSL_key_file = %q
echo = "raw"
[[listen]]
port = "127.0.0.1:%[4]d/tcp"
[[listen]]
port = "127.0.0.1:%[5]d/ssl"
[[listen]]
port = "127.0.0.1:%[6]d/ssl"
proxy_to = "127.0.0.1:%[4]d"
`, socketIn(dir), place.CertFile, place.KeyFile, r.loads[0].port, r.loads[1].port, r.loads[2].port)
	file := filepath.Join(dir, "soak.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return peers.Start(ctx, program(r.o.binary, file), r.loads[2].port, true)
}

func socketIn(dir string) string { return filepath.Join(dir, "control") }

// fill has the clients come, and looks before and after.
func (r *result) fill(ctx context.Context, s *peers.Process, dir string, progress io.Writer) (err error) {
	fmt.Fprintln(progress, "the first clients")
	if err := r.clients(ctx, max(r.o.conns/warmShare, warmLeast), r.o.limit); err != nil {
		return err
	}
	if r.before, err = r.rest(ctx, s, dir, nil); err != nil {
		return err
	}
	fmt.Fprintf(progress, "%d clients; before them %v\n", r.o.conns, r.before)
	begin := time.Now()
	if err := r.clients(ctx, r.o.conns, r.o.limit); err != nil {
		return err
	}
	r.elapsed = time.Since(begin)
	r.after, err = r.rest(ctx, s, dir, &r.before)
	r.settled = time.Since(begin) - r.elapsed
	return err
}

// clients has n clients come.
func (r *result) clients(ctx context.Context, n int, limit time.Duration) error {
	errs := make([]error, len(r.loads))
	var all sync.WaitGroup
	for i := range r.loads {
		l := &r.loads[i]
		count := int(float64(n)*l.share + 0.5)
		if count == 0 {
			l.done = honest.Rate{}
			continue
		}
		all.Go(func() {
			l.done, errs[i] = honest.Closed(ctx, honest.Options{To: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), l.port), TLS: l.tls, Duration: limit, Count: count, Timeout: 20 * time.Second}, clients)
		})
	}
	all.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// rest waits until the server holds no more than limit says, or for as long as
// that may take, and returns what it holds. Without a limit it waits until two
// looks find the same.
func (r *result) rest(ctx context.Context, s *peers.Process, dir string, limit *state) (now state, err error) {
	var last state
	for end := time.Now().Add(settles); ; {
		if now, err = look(ctx, s, r.o.binary, socketIn(dir)); err != nil {
			return now, err
		}
		switch {
		case time.Now().After(end), limit != nil && now.within(*limit, r.o.slack), limit == nil && now.same(last):
			return now, nil
		}
		last = now
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}

// print prints what was found.
func (r *result) print(w io.Writer) {
	for _, l := range r.loads {
		fmt.Fprintf(w, "%-12s %8d clients, %d failed, %.0f a second\n", l.name, l.done.Done, l.done.Failed, l.done.PerSecond())
	}
	fmt.Fprintf(w, "%-12s %v\n%-12s %v, %.0f s later\nThe clients took %.0f s.\n", "before", r.before, "after", r.after, r.settled.Seconds(), r.elapsed.Seconds())
}

// verdict returns what is not as it should be.
func (r *result) verdict() error {
	var errs []error
	var done int64
	for _, l := range r.loads {
		done += l.done.Done
		if l.done.Failed > 0 {
			errs = append(errs, fmt.Errorf("%s: %d clients failed", l.name, l.done.Failed))
		}
	}
	if done < int64(r.o.conns)-int64(len(r.loads)) { // shares are rounded
		errs = append(errs, fmt.Errorf("%d of %d clients came in %v", done, r.o.conns, r.o.limit))
	}
	if !r.after.within(r.before, r.o.slack) {
		errs = append(errs, fmt.Errorf("the server holds %v, and held %v", r.after, r.before))
	}
	return errors.Join(errs...)
}
