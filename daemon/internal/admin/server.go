package admin

import (
	"context"
	"log/slog"
	"time"

	"netserver"
	"netserver/handler/httpd"
	"netserver/port"
	"netserver/tlsparams"
)

// The bounds of the admin listener.
const (
	maxClients  = 32
	maxHeader   = 8 << 10
	idleTime    = 30 * time.Second
	handlerTime = 10 * time.Second
	maxMemory   = 16 << 20
)

// Server returns a Server for the port of an admin listener. base are the TLS
// parameters of ports without their own. Use says what it serves.
func Server(spec port.Spec, base tlsparams.Params, env tlsparams.Env) *netserver.Server {
	s := &netserver.Server{}
	s.Config = netserver.Config{
		Ports:    []port.Spec{spec},
		Timeouts: netserver.Timeouts{Handshake: handlerTime, Idle: 2 * idleTime, Write: handlerTime},
		Limits:   netserver.Limits{MaxConns: maxClients},
		Admission: netserver.Admission{
			MaxPerSource: maxClients, MaxPerPrefix: maxClients, MaxMemory: maxMemory,
			Handshakes: netserver.Bounds{All: maxClients},
		},
	}
	s.Config.TLS, s.TLS = base, env
	return s
}

// Use has s answer the requests of its clients by f.
func Use(s *netserver.Server, f *Front, log *slog.Logger) {
	log = slog.New(quiet{log.Handler()})
	s.Log = log
	s.Handler = &httpd.Handler{Handler: f, HeaderTimeout: handlerTime, IdleTimeout: idleTime, MaxHeader: maxHeader, MaxStreams: 16, Log: log}
}

// quiet leaves out all that is no warning: probes and scrapers come and go.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }
func (q quiet) WithGroup(name string) slog.Handler       { return quiet{q.Handler.WithGroup(name)} }
