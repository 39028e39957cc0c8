package daemon

import (
	"netserver/conf"
	"netserver/daemon/internal/logging"
	"netserver/logs"
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
		s.Define(conf.Key{Name: name, Group: groupServer, Arg: arg, Default: def, Help: help, When: factSyslog, NetServer: true}, lookedAt{conf.String(p), check})
	}
	define("syslog_ident", "NAME", logs.DefaultSyslogIdent, "with log_file Sys::Syslog: name of the program",
		&c.Ident, func(v string) error { return logs.CheckSyslogIdent(v, false) })
	define("syslog_facility", "NAME", logs.DefaultSyslogFacility, "with log_file Sys::Syslog: user, mail, daemon, auth, authpriv, local0 to local7 and so on",
		&c.Facility, logging.CheckSyslogFacility)
	define("syslog_logopt", "WORDS", logging.DefaultSyslogOptions, "with log_file Sys::Syslog, joined by commas: pid adds the process number; without nofatal the server does not start if syslog cannot be reached; ndelay and nowait say what is always so",
		&c.LogOpt, logging.CheckSyslogOptions)
	define("syslog_logsock", "WHERE", "", "with log_file Sys::Syslog: native or unix (the daemon of this machine), stream, udp:HOST:PORT, tcp:HOST:PORT, or a socket's path (default native)",
		&c.LogSock, func(v string) error { _, err := logs.ParseSyslogTarget(v); return err })
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
