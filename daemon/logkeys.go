package daemon

import (
	"errors"
	"log/slog"
	"sync"

	"netserver"
	"netserver/conf"
	"netserver/daemon/internal/connlog"
	"netserver/daemon/internal/logging"
	"netserver/logs"
	"netserver/port"
)

// SyslogConfig is how the log goes to syslog, for the LogFile Sys::Syslog.
// The texts are those of the keys syslog_ident and so on; "" is the default
// of each.
type SyslogConfig struct {
	Ident    string // default net_server
	Facility string // default daemon
	LogOpt   string // default pid,nofatal
	LogSock  string // default the daemon of this machine
}

func (c *SyslogConfig) define(s *conf.Set) {
	define := func(name, arg, def, help string, p *string, check func(string) error) {
		when := conf.When(factSyslog)
		if name == "syslog_ident" || name == "syslog_facility" {
			when = factNamedLog
		}
		s.Define(conf.Key{Name: name, Group: groupServer, Arg: arg, Default: def, Help: help, When: when, NetServer: true}, lookedAt{conf.String(p), check})
	}
	define("syslog_ident", "NAME", logs.DefaultSyslogIdent, "with a log in syslog or the journal: name of the program",
		&c.Ident, func(v string) error { return logs.CheckSyslogIdent(v, false) })
	define("syslog_facility", "NAME", logs.DefaultSyslogFacility, "with a log in syslog or the journal: user, mail, daemon, auth, authpriv, local0 to local7 and so on",
		&c.Facility, logging.CheckSyslogFacility)
	define("syslog_logopt", "WORDS", logging.DefaultSyslogOptions, "with a log in syslog, joined by commas: pid adds the process number; without nofatal the server does not start if syslog cannot be reached; ndelay and nowait say what is always so",
		&c.LogOpt, logging.CheckSyslogOptions)
	define("syslog_logsock", "WHERE", "", "with a log in syslog: native or unix (the daemon of this machine), stream, udp:HOST:PORT, tcp:HOST:PORT, or a socket's path (default native)",
		&c.LogSock, func(v string) error { _, err := logs.ParseSyslogTarget(v); return err })
}

// keyAccessLimit says how many lines the access log has of connections.
const keyAccessLimit = "access_log_limit"

func (c *Config) defineAccessLog(s *conf.Set) {
	s.Define(conf.Key{Name: keyAccessLimit, Group: groupServer, Arg: "OUTCOME=N", List: true, When: "access_log_file",
		Help: "how many lines of connections the access log has, by outcome: OUTCOME=NUMBER a minute, OUTCOME=1/NUMBER one of so many, OUTCOME=all, OUTCOME=none; OUTCOME is a name with _ for blanks, failed (all but served) or *. What is left out is counted in the log (default: all of served, 1000 a minute of each other, none of probe)"},
		conf.Func(func(vals []conf.Value) error {
			c.accessLimits = connlog.Limits{}
			for _, v := range vals {
				if err := c.accessLimits.Set(v.Text); err != nil {
					return v.Errorf("%w", err)
				}
			}
			return nil
		}))
}

// logConnections has the engine give the access log the connections of ports
// that do not log their requests.
func (p *program) logConnections() error {
	to := p.conf.logging()
	if !to.HasAccess() {
		return nil
	}
	formats := make(map[string]*connlog.Format)
	var errs []error
	for i, spec := range p.conf.Server.Ports {
		f, err := p.conf.services.ConnFormat(i, p.library)
		errs = append(errs, err)
		formats[spec.Short()] = f
	}
	p.connections = &connlog.Log{Write: p.logAccess, Fields: to.AccessFields(), Untimed: to.AccessUntimed(), Limits: p.conf.accessLimits, Log: func() *slog.Logger { return p.server.Log }}
	h := &p.server.Hooks
	trace, logged := h.Trace, h.Logged
	var bound sync.Map // formats by the ports of records
	h.Trace = func(asked, at port.Spec) (t netserver.Tracing) {
		if trace != nil {
			t = trace(asked, at)
		}
		if f := formats[asked.Short()]; f != nil {
			bound.Store(at.Short(), f)
			t |= f.Needs(p.connections.Fields)
		}
		return t
	}
	h.Logged = func(c *netserver.Conn, r *netserver.Record) {
		if logged != nil {
			logged(c, r)
		}
		if f, ok := bound.Load(r.Port.Short()); ok && !connlog.Requested(r) {
			p.connections.Line(f.(*connlog.Format), c, r)
		}
	}
	return errors.Join(errs...)
}

// lookedAt is a Binder that looks at each value first.
type lookedAt struct {
	conf.Binder
	check func(string) error
}

func (b lookedAt) Set(vals []conf.Value) error {
	for _, v := range vals {
		if err := b.check(v.Text); err != nil {
			return v.Errorf("%w", err)
		}
	}
	return b.Binder.Set(vals)
}

// logging is what c says of the log.
func (c *Config) logging() *logging.Config {
	s := &c.Syslog
	return &logging.Config{
		Level: c.LogLevel, File: c.LogFile, Access: c.AccessLog, JSON: c.LogFormat == "json", Owner: c.identity.Account,
		Syslog: logging.Syslog{Ident: s.Ident, Facility: s.Facility, Options: s.LogOpt, Socket: s.LogSock},
	}
}
