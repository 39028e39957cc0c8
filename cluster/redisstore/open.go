package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"netserver/cluster"
)

// A store is a namespace of a server.
type store struct {
	o      cluster.StoreOptions
	c      redis.UniversalClient
	base   string // of all names
	once   sync.Once
	closed chan struct{}
	err    error // of the first Close
	shut   atomic.Bool
}

// Open opens the store of a URL, one of
//
//	redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]
//	redis+unix://[USER[:PASSWORD]@]/PATH
//	redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...]/MASTER[/DATABASE]
//	redis+cluster://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...]
//
// and rediss for redis, which is TLS. User and password are those of the servers
// and, if there are any, of the Sentinels. It takes go-redis' logger away, which
// the whole program has one of.
func Open(_ context.Context, name string, o cluster.StoreOptions) (cluster.Store, error) {
	o, err := o.WithDefaults()
	if err != nil {
		return nil, fmt.Errorf("store in Redis: %w", err)
	}
	u, err := parse(name, o)
	if err != nil {
		return nil, err
	}
	// It writes to standard error by itself, several lines for each try while a
	// server is away. What fails is returned by the methods.
	redis.SetLogger(silent{})
	return &store{o: o, c: redis.NewUniversalClient(u), base: "{" + o.Namespace + "}:", closed: make(chan struct{})}, nil
}

// silent is a logger of the library's.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// Schemes returns Open for each scheme that its URLs can have.
func Schemes() map[string]cluster.Opener {
	all := make(map[string]cluster.Opener)
	for _, secure := range []string{"redis", "rediss"} {
		for _, kind := range []string{"", "+sentinel", "+cluster"} {
			all[secure+kind] = Open
		}
	}
	all["redis+unix"] = Open
	return all
}

// errURL shows nothing of a URL: its password may stand anywhere.
var errURL = errors.New("the URL of a Redis store is redis://[USER@]HOST[:PORT][/DATABASE], redis+sentinel://[USER@]HOST[:PORT],.../MASTER[/DATABASE], redis+cluster://[USER@]HOST[:PORT],... or redis+unix://[USER@]/PATH, with rediss for TLS")

// parse returns what the library wants.
func parse(name string, o cluster.StoreOptions) (*redis.UniversalOptions, error) {
	u, err := url.Parse(name)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, errURL
	}
	scheme, kind, _ := strings.Cut(u.Scheme, "+")
	secure := scheme == "rediss"
	if scheme != "redis" && !secure || secure && kind == "unix" {
		return nil, errURL
	}
	r := &redis.UniversalOptions{
		Username: u.User.Username(), Password: o.Password, SentinelUsername: u.User.Username(),
		Protocol: 2, DisableIdentity: true,
		MaxRetries:            -1, // a Put that is carried out twice fails the second time
		DialerRetries:         1,
		ContextTimeoutEnabled: true,
		DialTimeout:           o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
		PoolSize:                 4,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if p, ok := u.User.Password(); ok && r.Password == "" {
		r.Password = p
	}
	r.SentinelPassword = r.Password
	port, path := "6379", strings.TrimPrefix(u.Path, "/")
	network := "tcp"
	switch kind {
	case "unix":
		if u.Host != "" || path == "" {
			return nil, errURL
		}
		network, r.Addrs, path = "unix", []string{u.Path}, ""
	case "sentinel":
		port = "26379"
		r.MasterName, path, _ = strings.Cut(path, "/")
		if r.MasterName == "" {
			return nil, errURL
		}
	case "cluster":
		r.IsClusterMode = true
	case "":
	default:
		return nil, errURL
	}
	if path != "" {
		if r.DB, err = strconv.Atoi(path); err != nil || r.DB < 0 || r.IsClusterMode {
			return nil, errURL
		}
	}
	if network == "tcp" {
		if r.Addrs, err = addresses(u.Host, port, kind != ""); err != nil {
			return nil, err
		}
	}
	r.Dialer = dialer(network, secure, o)
	return r, nil
}

// addresses splits the hosts of a URL and adds the port where it is missing.
func addresses(hosts, port string, several bool) (list []string, err error) {
	for h := range strings.SplitSeq(hosts, ",") {
		one := url.URL{Host: h}
		if one.Hostname() == "" || len(list) > 0 && !several {
			return nil, errURL
		}
		p := one.Port()
		if p == "" {
			p = port
		}
		list = append(list, net.JoinHostPort(one.Hostname(), p))
	}
	return list, nil
}

// dialer returns the function that connects, whose connections are bounded.
func dialer(network string, secure bool, o cluster.StoreOptions) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		var d net.Dialer
		nc, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if secure {
			cfg := o.TLS.Clone()
			if cfg == nil {
				cfg = &tls.Config{}
			}
			if host, _, err := net.SplitHostPort(addr); err == nil && cfg.ServerName == "" {
				cfg.ServerName = host
			}
			tc := tls.Client(nc, cfg)
			if err := tc.HandshakeContext(ctx); err != nil {
				nc.Close()
				return nil, fmt.Errorf("TLS to %s: %w", addr, err)
			}
			nc = tc
		}
		return bounded(nc), nil
	}
}

// Close implements cluster.Store.
func (s *store) Close() error {
	s.once.Do(func() {
		s.shut.Store(true)
		close(s.closed)
		s.err = s.c.Close()
	})
	return s.err
}

// told returns the error as package cluster names it.
func (s *store) told(err error) error {
	if err == nil {
		return nil
	}
	if s.shut.Load() {
		return cluster.ErrClosed
	}
	var answer redis.Error
	errors.As(err, &answer)
	if answer == nil || strings.HasPrefix(answer.Error(), "CLUSTERDOWN ") {
		if c, ok := s.c.(*redis.ClusterClient); ok {
			c.ReloadState(context.Background()) // another may have the keys now; the library looks every ten seconds only
		}
	}
	if answer == nil {
		return err
	}
	text := answer.Error()
	for _, k := range []struct {
		code string
		say  error
	}{
		{"READONLY", cluster.ErrReadOnly},
		{"MISCONF", cluster.ErrReadOnly},
		{"NOREPLICAS", cluster.ErrReadOnly},
		{"OOM", cluster.ErrFull},
		{"NOAUTH", cluster.ErrDenied},
		{"WRONGPASS", cluster.ErrDenied},
		{"NOPERM", cluster.ErrDenied},
		{"WRONGTYPE", cluster.ErrValue},
	} {
		if strings.HasPrefix(text, k.code+" ") {
			return fmt.Errorf("%w: %s", k.say, k.code)
		}
	}
	return fmt.Errorf("the server answers with an error: %.200q", text)
}
