package natsstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"netserver/cluster"
	"netserver/cluster/internal/lifetime"
)

// A store is a bucket.
type store struct {
	o        cluster.StoreOptions
	servers  []string // host and port
	user     string
	password string
	secure   bool
	poll     time.Duration // how often a Watch looks whether server and bucket are there
	stall    time.Duration // how long a Watch may be told nothing if there is something
	gcAge    time.Duration // after which what is over is removed

	once   sync.Once
	closed chan struct{}
	shut   atomic.Bool
	turn   chan struct{} // who holds it may connect, and use link
	link   *link
	ends   lifetime.Ends
	clock  clock
}

// Open opens the store of a URL, nats or tls:
//
//	nats://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...]
//
// A password without a user is a token. With nats, TLS is used if the server
// wants it; with tls, a server without it is refused.
func Open(_ context.Context, name string, o cluster.StoreOptions) (cluster.Store, error) {
	o, err := o.WithDefaults()
	if err != nil {
		return nil, fmt.Errorf("store in NATS: %w", err)
	}
	s, err := parse(name, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Schemes returns Open for each scheme that its URLs can have.
func Schemes() map[string]cluster.Opener {
	return map[string]cluster.Opener{"nats": Open, "tls": Open}
}

// errURL shows nothing of a URL: its password may stand anywhere.
var errURL = errors.New("the URL of a NATS store is nats://[USER@]HOST[:PORT][,HOST[:PORT]...], or the same with tls")

func parse(name string, o cluster.StoreOptions) (*store, error) {
	u, err := url.Parse(name)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || u.Path != "" && u.Path != "/" {
		return nil, errURL
	}
	s := &store{o: o, user: u.User.Username(), password: o.Password, poll: pollEvery, stall: max(o.Timeout, pollEvery), gcAge: gcAge, closed: make(chan struct{}), turn: make(chan struct{}, 1)}
	if p, ok := u.User.Password(); ok && s.password == "" {
		s.password = p
	}
	switch u.Scheme {
	case "nats":
	case "tls":
		s.secure = true
	default:
		return nil, errURL
	}
	for h := range strings.SplitSeq(u.Host, ",") {
		one := url.URL{Host: h}
		if one.Hostname() == "" {
			return nil, errURL
		}
		p := one.Port()
		if p == "" {
			p = "4222"
		}
		s.servers = append(s.servers, net.JoinHostPort(one.Hostname(), p))
	}
	return s, nil
}

// A link is a connection with the bucket. Its ctx ends with it.
type link struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	kv     jetstream.KeyValue
	ctx    context.Context // its cause is errLost or cluster.ErrDenied
	lose   context.CancelCauseFunc
}

// close ends the connection.
func (l *link) close() {
	l.lose(errLost)
	l.nc.Close()
}

var errLost = errors.New("the connection to the server is lost")

// connected returns the connection that calls share.
func (s *store) connected(ctx context.Context) (*link, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.turn }()
	if s.shut.Load() {
		return nil, cluster.ErrClosed
	}
	if s.link != nil && s.link.ctx.Err() == nil {
		return s.link, nil
	}
	if s.link != nil {
		s.link.close()
	}
	l, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	s.link = l
	return l, nil
}

// connect makes a connection and, where it is missing, the bucket.
func (s *store) connect(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.whenClosed(cancel)()
	l := &link{}
	l.ctx, l.lose = context.WithCancelCause(context.Background())
	d := &dialer{s: s, ctx: ctx}
	defer d.done() // before cancel
	opts := []nats.Option{
		nats.SetCustomDialer(d), nats.SkipHostLookup(), nats.NoReconnect(), nats.IgnoreDiscoveredServers(), nats.NoCallbacksAfterClientClose(),
		nats.Timeout(s.o.Timeout), nats.FlusherTimeout(s.o.Timeout), nats.PingInterval(max(pollEvery, s.o.Timeout)), nats.MaxPingsOutstanding(2),
		nats.ClosedHandler(func(*nats.Conn) { l.lose(errLost) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.o.Log.Debug("cluster: NATS tells of an error", "error", limited(err))
			if errors.Is(err, nats.ErrPermissionViolation) {
				l.lose(cluster.ErrDenied) // what was refused gets no answer
			}
		}),
	}
	switch {
	case s.user != "":
		opts = append(opts, nats.UserInfo(s.user, s.password))
	case s.password != "":
		opts = append(opts, nats.Token(s.password))
	}
	var err error
	if l.nc, err = nats.Connect("nats://"+strings.Join(s.servers, ",nats://"), opts...); err != nil {
		if d.err != nil { // the library hides some
			err = d.err
		}
		return nil, err
	}
	defer context.AfterFunc(l.ctx, cancel)()
	if err := s.bucket(ctx, l); err != nil {
		if l.ctx.Err() != nil {
			err = context.Cause(l.ctx)
		}
		l.close()
		return nil, err
	}
	return l, nil
}

// whenClosed calls f when the store is closed, until stop is called.
func (s *store) whenClosed(f func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-s.closed:
			f()
		case <-done:
		}
	}()
	return func() { close(done) }
}

// bucketTry bounds the first attempt to find or make a bucket; each one more has
// twice the time. A server of which several clients want it at the same time may
// refuse one for what another does, and may never answer.
const bucketTry = time.Second

// bucket finds or makes the bucket.
func (s *store) bucket(ctx context.Context, l *link) (err error) {
	if l.js, err = jetstream.New(l.nc); err != nil {
		return err
	}
	for patience := min(bucketTry, s.o.Timeout/4); ; patience *= 2 {
		try, cancel := context.WithTimeout(ctx, patience)
		err = s.bucketOnce(try, l)
		again := try.Err() != nil || errors.Is(err, jetstream.ErrBucketExists) || overlaps(err)
		cancel()
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *store) bucketOnce(ctx context.Context, l *link) (err error) {
	name := s.o.Namespace
	l.kv, err = l.js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		l.kv, err = l.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, Description: "netserver cluster", MaxValueSize: int32(headSize + cluster.MaxValue + maxHeaders)})
	}
	if err != nil {
		return err
	}
	if l.stream, err = l.js.Stream(ctx, "KV_"+name); err != nil {
		return err
	}
	if age := l.stream.CachedInfo().Config.MaxAge; age > 0 {
		return fmt.Errorf("the bucket %s ends all that is in it after %v; make it without an age limit", name, age)
	}
	return nil
}

// overlaps reports whether the server says that another stream has the names of
// the bucket: that is the bucket.
func overlaps(err error) bool {
	const code = 10065
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}

// String hides the password.
func (s *store) String() string {
	return fmt.Sprintf("%s in NATS at %s", s.o.Namespace, strings.Join(s.servers, ","))
}

// GoString hides the password.
func (s *store) GoString() string { return s.String() }

// Close implements cluster.Store.
func (s *store) Close() error {
	s.once.Do(func() {
		s.shut.Store(true)
		close(s.closed)
		s.turn <- struct{}{} // who is connecting ends by closed
		if s.link != nil {
			s.link.close()
		}
		<-s.turn
	})
	return nil
}
