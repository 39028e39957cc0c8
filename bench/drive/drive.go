package drive

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"netserver/bench/honest"
	"netserver/bench/loopback"
)

// A Kind says what clients do.
type Kind string

// The kinds. One operation is a connection, a block there and back, a block
// read, a datagram there and back, or a request.
const (
	Connect  Kind = "connect"   // connect, shake hands if TLS, a line there and back, close
	PingPong Kind = "ping-pong" // blocks there and back, on connections that stay
	Download Kind = "download"  // read what the server sends without end
	Packets  Kind = "packets"   // datagrams there and back
	Requests Kind = "requests"  // HTTP/1.1 on connections that stay
	Hold     Kind = "hold"      // do nothing but hold
)

// MaxHeld is how many connections may be held.
const MaxHeld = 20000

// Options say what to do. The server must be on this machine.
type Options struct {
	Kind     Kind
	To       netip.AddrPort
	Socket   string // path of a UNIX socket, instead of To
	TLS      bool
	Version  uint16      // of TLS; 0 is 1.3
	Group    tls.CurveID // of the key exchange; 0 is X25519
	Resume   bool        // each worker's connections resume its first one's session
	Conns    int         // at once
	Size     int         // bytes of a block
	Path     string      // that is asked for by HTTP
	Held     int         // connections that are opened beforehand, used for a line each, and held
	Duration time.Duration
	Rate     float64 // of Connect: clients a second, whatever became of those before; 0: as fast as the server answers
}

// A Result is what was done.
type Result struct {
	Done    int64 // operations
	Bytes   int64 // that came back
	Failed  int64
	Failure string           // the first one
	Latency honest.Quantiles // of operations, of Download of none; with Rate from the time at which a client should have come
	Lag     honest.Quantiles // of the generator itself, with Rate
	Elapsed time.Duration
	Resumed int64  // handshakes that resumed a session
	Suite   string // of the last handshake
	Group   string // of its key exchange
}

func (o *Options) fill() error {
	if o.Version == 0 {
		o.Version = tls.VersionTLS13
	}
	if o.Group == 0 {
		o.Group = tls.X25519
	}
	if o.Socket == "" {
		if err := loopback.Check(o.To.Addr()); err != nil {
			return err
		}
	}
	switch {
	case o.Conns < 0 || o.Conns > honest.MaxConns || o.Conns == 0 && o.Kind != Hold && o.Rate == 0:
		return fmt.Errorf("connections %d: must be from 1 to %d", o.Conns, honest.MaxConns)
	case o.Held < 0 || o.Held > MaxHeld:
		return fmt.Errorf("held connections %d: must be from 0 to %d", o.Held, MaxHeld)
	case o.Size < 0 || o.Size > 1<<20:
		return fmt.Errorf("size %d: must be from 0 to %d bytes", o.Size, 1<<20)
	case o.Duration <= 0 || o.Duration > honest.MaxDuration:
		return fmt.Errorf("duration %v: must be above 0 and at most %v", o.Duration, honest.MaxDuration)
	}
	return nil
}

// Run prepares (held connections, connections that stay), calls ready, which
// may wait, and then does operations for o.Duration. ctx ends it earlier.
func Run(ctx context.Context, o Options, ready func() error) (Result, error) {
	if err := o.fill(); err != nil {
		return Result{}, err
	}
	held, err := o.hold(ctx)
	defer closeAll(held)
	if err != nil {
		return Result{}, err
	}
	if o.Rate > 0 {
		return o.atRate(ctx, ready)
	}
	ws, err := o.workers(ctx)
	defer closeWorkers(ws)
	if err != nil {
		return Result{}, err
	}
	if err := ready(); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	begin := time.Now()
	var all sync.WaitGroup
	for _, w := range ws {
		all.Go(func() { w.run(ctx) })
	}
	if o.Kind == Hold {
		<-ctx.Done()
	}
	all.Wait()
	return sum(ws, time.Since(begin)), nil
}

// Once does one operation, to see whether a server does it.
func Once(ctx context.Context, o Options) error {
	o.Conns, o.Held, o.Rate, o.Duration = 1, 0, 0, opLimit
	if err := o.fill(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, opLimit)
	defer cancel()
	ws, err := o.workers(ctx)
	defer closeWorkers(ws)
	if err != nil {
		return err
	}
	return ws[0].op(ctx)
}

// atRate runs honest clients, which come at fixed times.
func (o Options) atRate(ctx context.Context, ready func() error) (Result, error) {
	if err := ready(); err != nil {
		return Result{}, err
	}
	r, err := honest.Run(ctx, honest.Options{To: o.To, TLS: o.TLS, Rate: o.Rate, Duration: o.Duration})
	if err != nil {
		return Result{}, err
	}
	res := Result{Done: int64(r.Sent - r.Failed), Failed: int64(r.Failed), Latency: r.Latency, Lag: r.Lag, Elapsed: r.Elapsed}
	for why := range r.Failures {
		res.Failure = why
	}
	return res, nil
}

// sum adds up what workers did.
func sum(ws []*worker, elapsed time.Duration) Result {
	r := Result{Elapsed: elapsed}
	var took []time.Duration
	for _, w := range ws {
		r.Done += w.done
		r.Bytes += w.bytes
		r.Resumed += w.resumed
		if w.suite != 0 {
			r.Suite, r.Group = tls.CipherSuiteName(w.suite), w.group.String()
		}
		if w.failed > 0 {
			r.Failed += w.failed
			r.Failure = w.err.Error()
		}
		took = append(took, w.took...)
	}
	r.Latency = honest.QuantilesOf(took)
	return r
}

// failed notes an error unless it comes from the end of the run.
func (w *worker) fail(ctx context.Context, err error) {
	if loopback.Over(ctx) {
		return
	}
	w.failed++
	if w.err == nil {
		w.err = err
	}
	select { // a server that is gone must not make this spin
	case <-time.After(time.Millisecond):
	case <-ctx.Done():
	}
}

var errOther = errors.New("not what was sent came back")

// Fails reports whether more than a few operations failed, and why.
func (r Result) Fails() (string, bool) {
	if r.Failed*100 <= r.Done {
		return "", false
	}
	return fmt.Sprintf("%d of %d failed: %s", r.Failed, r.Failed+r.Done, strings.TrimSpace(r.Failure)), true
}
