package honest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"crypto/tls"

	"netserver/bench/loopback"
)

// Bounds of what may be asked for.
const (
	MaxRate     = 10000            // clients a second
	MaxClients  = 1_000_000        // in all
	MaxDuration = 10 * time.Minute // of a run
	MaxTimeout  = time.Minute      // of a client
	maxFlight   = 10000            // clients at one moment; more count as failed
)

// Options say what load to make.
type Options struct {
	To       netip.AddrPort // loopback only
	From     netip.Addr     // loopback only; the system's choice if not valid
	TLS      bool           // a full handshake before the line; no resumption
	Rate     float64        // clients a second; default 20
	Duration time.Duration  // how long clients come; default 5 s
	Count    int            // at most so many; 0 is as many as come in Duration
	Timeout  time.Duration  // of one client, from its scheduled time; default 5 s
	// Enough, if not nil, ends the coming of clients when it is closed; those
	// under way go on.
	Enough <-chan struct{} `json:"-"`
}

// A Result is what the clients of a run felt.
type Result struct {
	Sent     int            // clients that came
	Failed   int            // of them without their answer
	Failures map[string]int // the same, by reason
	Latency  Quantiles      // from the scheduled time to the answer; a failure counts as Timeout
	Lag      Quantiles      // from the scheduled time to the start: the generator's own delay
	Elapsed  time.Duration
}

func (o *Options) fill() error {
	if o.Rate == 0 {
		o.Rate = 20
	}
	if o.Duration == 0 {
		o.Duration = 5 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	switch {
	case !(o.Rate > 0 && o.Rate <= MaxRate):
		return fmt.Errorf("rate %v: must be above 0 and at most %d a second", o.Rate, MaxRate)
	case o.Duration < 0 || o.Duration > MaxDuration:
		return fmt.Errorf("duration %v: must be above 0 and at most %v", o.Duration, MaxDuration)
	case o.Timeout < 0 || o.Timeout > MaxTimeout:
		return fmt.Errorf("timeout %v: must be above 0 and at most %v", o.Timeout, MaxTimeout)
	case o.Count < 0 || o.Count > MaxClients:
		return fmt.Errorf("count %d: must be from 0 to %d", o.Count, MaxClients)
	}
	if err := loopback.Check(o.To.Addr()); err != nil {
		return err
	}
	if n := min(int(o.Rate*o.Duration.Seconds()), MaxClients); o.Count == 0 || o.Count > n {
		o.Count = max(n, 1)
	}
	return nil
}

// Run makes the load and returns when the last client is done, or soon after
// ctx is.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.fill(); err != nil {
		return Result{}, err
	}
	r := recorder{timeout: o.Timeout, failures: make(map[string]int)}
	begin := time.Now()
	var wg sync.WaitGroup
	flight := make(chan struct{}, maxFlight)
	gap := time.Duration(float64(time.Second) / o.Rate)
	clock := loopback.NewClock()
	defer clock.Release()
	for i := range o.Count {
		due := begin.Add(time.Duration(i) * gap)
		clock.SleepUntil(due)
		if ctx.Err() != nil || isClosed(o.Enough) {
			break
		}
		select {
		case flight <- struct{}{}:
			wg.Go(func() {
				r.add(o.client(ctx, due))
				<-flight
			})
		default:
			r.add(outcome{err: errors.New("too many clients under way")})
		}
	}
	wg.Wait()
	return Result{
		Sent: len(r.latency), Failed: r.failed, Failures: r.failures,
		Latency: QuantilesOf(r.latency), Lag: QuantilesOf(r.lag), Elapsed: time.Since(begin),
	}, nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c: // never, if it is nil
		return true
	default:
		return false
	}
}

// An outcome is what became of one client.
type outcome struct {
	lag, latency time.Duration
	err          error
}

func (o Options) client(ctx context.Context, due time.Time) outcome {
	out := outcome{lag: time.Since(due)}
	ctx, cancel := context.WithDeadline(ctx, due.Add(o.Timeout))
	defer cancel()
	out.err = Once(ctx, o.From, o.To, o.TLS)
	out.latency = time.Since(due)
	return out
}

type recorder struct {
	timeout time.Duration

	mu       sync.Mutex
	latency  []time.Duration
	lag      []time.Duration
	failed   int
	failures map[string]int
}

func (r *recorder) add(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lag = append(r.lag, o.lag)
	if o.err != nil {
		r.failed++
		r.failures[reason(o.err)]++
		o.latency = max(o.latency, r.timeout)
	}
	r.latency = append(r.latency, o.latency)
}

// TLSConfig is the clients' configuration: a full handshake each time, with
// X25519, which every server side by side here has, so that all do the same
// work. The certificate's chain is not looked at, its signature is.
func TLSConfig() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		CurvePreferences:       []tls.CurveID{tls.X25519},
	}
}

var line = []byte("honest clients send one line\n")

// Once is one client: it connects, shakes hands, sends a line, reads it back
// and leaves. ctx must have a deadline.
func Once(ctx context.Context, from netip.Addr, to netip.AddrPort, secure bool) error {
	deadline, _ := ctx.Deadline()
	tc, err := loopback.Dial(ctx, from, to, time.Until(deadline))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer tc.Close()
	stop := context.AfterFunc(ctx, func() { tc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	tc.SetDeadline(deadline)
	var c net.Conn = tc
	if secure {
		t := tls.Client(tc, TLSConfig())
		if err := t.Handshake(); err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		c = t
	}
	return echoLine(c)
}

func echoLine(c net.Conn) error {
	if _, err := c.Write(line); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	var got [64]byte
	if _, err := io.ReadFull(c, got[:len(line)]); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if string(got[:len(line)]) != string(line) {
		return errors.New("read: not the line that was sent")
	}
	return nil
}

// reason returns a failure in few words, the same ones for the same failure.
func reason(err error) string {
	stage, _, _ := strings.Cut(err.Error(), ":")
	var ne net.Error
	switch {
	case errors.As(err, &ne) && ne.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return stage + " timed out"
	case errors.Is(err, syscall.ECONNREFUSED):
		return stage + " refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return stage + " reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return stage + " closed"
	}
	return stage + " failed"
}
