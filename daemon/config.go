package daemon

import (
	"fmt"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/daemon/internal/clustering"
	"netserver/daemon/internal/connlog"
	"netserver/daemon/internal/serving"
	"netserver/daemon/internal/wire"
	"netserver/internal/bridge"
	"netserver/internal/identity"
)

// Config is what a program has beside its Server: type, logs and, for the
// command, which of the ready handlers serves the clients. It holds values
// only; zero is the stated default.
type Config struct {
	Type      string // Fork (the default), Single, PreForkSimple, PreFork or INET; the command has HTTP too
	LogLevel  int    // 0 to 4; default 2
	LogFile   string // default standard error; Sys::Syslog or syslog is no file
	LogFormat string // line (the default) or json
	Syslog    SyslogConfig
	AccessLog string // a line for each HTTP request or other connection: a file, STDOUT, STDERR, Sys::Syslog, journal or |PROGRAM ARGS; default none

	Program []string // what stood behind --: the program that serves each client
	Process ProcessConfig
	Workers WorkersConfig
	Jobs    JobsConfig
	ACME    ACMEConfig

	// Usage is what a program on Run prints for --help before the keys; default
	// a line that says how keys are written.
	Usage string
	// UnknownKeys is what Run does with keys that nobody has defined. The
	// default refuses them, as the command does. KeepInFiles leaves those of
	// conf files over for Hooks.Configured, for a file that is shared with
	// other programs or plugins, and KeepUnknown those of the command line and
	// the environment as well; a name that is nearly a key's gets a warning.
	// The key unknown_keys goes before it.
	UnknownKeys conf.Unknown

	// Server is what the command's Server gets. Run takes the Config of its
	// Server instead.
	Server netserver.Config

	cluster      clustering.Config
	check        checkKeys
	handler      serving.Config
	own          []conf.Block     // what ports, in the order of Server.Ports, have for their handlers
	blockOf      []int            // which [[listen]] block each of these is from; -1 is none
	services     serving.Services // what serves the clients
	accessLimits connlog.Limits
	confFile     string
	ports        portKeys
	identity     identity.Identity // what Process comes to
}

// checkKeys are what --check is asked.
type checkKeys struct {
	on                    bool
	peer, host, cert, sni string
	alpn                  []string
}

// portKeys are the keys that make ports together.
type portKeys struct {
	ports, hosts, protos, ipvs, unixTypes []conf.Value
}

const (
	groupServer = "server"
	groupPorts  = "ports"
)

// Define names the fields of c, those of its Server among them, as keys of s.
func (c *Config) Define(s *conf.Set) {
	c.definePorts(s)
	c.defineServer(s)
	c.Syslog.define(s)
	c.defineAccessLog(s)
	c.Process.define(s)
	c.Workers.define(s)
	c.Jobs.define(s)
	c.ACME.define(s)
	c.cluster.Define(s, factListens)
	c.handler.Define(s)
	c.Server.Define(s)
	defineUnbuilt(s)
}

// DefineTables names what may stand in the tables of the command's TOML file:
// [[backend]] and [[listen.route]]. A program on Run, which serves its clients
// itself, has none of them.
func (c *Config) DefineTables(s *conf.Set) { serving.DefineTables(s) }

func (c *Config) definePorts(s *conf.Set) {
	define := func(name, arg, help string, p *[]conf.Value) {
		k := conf.Key{Name: name, Group: groupPorts, Arg: arg, List: true, Help: help, When: conf.Always, NetServer: true}
		switch name {
		case "host", "ipv":
			k.When = factListens + " " + factInet
		}
		s.Define(k, conf.Raw(p))
	}
	define("port", "PORT", "port to listen on: number or service, with host, protocol and IP version if wanted (443/ssl, 127.0.0.1:53/udp, [::1]:25, /run/x.sock|unix, /run/x.sock|unixssl); default 20203, of type HTTP 80, or 8080 without root", &c.ports.ports)
	define("host", "HOST", "address or name to listen on, for ports that name none; the n-th goes with the n-th port (default *, all)", &c.ports.hosts)
	define("proto", "PROTO", "tcp, udp, ssl, unix, unixssl or unixdgram, for ports that name none (default tcp)", &c.ports.protos)
	s.Define(conf.Key{Name: "unix_type", Group: groupPorts, When: factListens + " " + factUnix, NetServer: true, Arg: "TYPE", PerPort: true, Help: "SOCK_STREAM or SOCK_DGRAM, for unix ports; unixdgram says it shorter"}, conf.Raw(&c.ports.unixTypes))
	define("ipv", "4|6|*", "IP version, for ports that name none (default *, both)", &c.ports.ipvs)
}

func (c *Config) defineServer(s *conf.Set) {
	define := func(k conf.Key, b conf.Binder) {
		k.Group = groupServer
		if k.When == "" {
			k.When = conf.Always
		}
		s.Define(k, b)
	}
	define(conf.Key{Name: "server_type", NetServer: true, Pick: pickType, Arg: "TYPE", Default: "Fork", Help: "Fork: many clients at once; Single: one after the other; PreForkSimple: max_servers processes; PreFork: min_servers to max_servers processes, by load; INET: the client on standard input; HTTP: Fork with http 1. As the first word of the command line HTTP leaves server_type to say on what it is built (default PreFork)"},
		conf.Func(c.setType))
	define(conf.Key{Name: "conf_file", NetServer: true, Arg: "FILE", Help: "file of keys and values, a line each; TOML if it ends in .toml"}, conf.String(&c.confFile))
	define(conf.Key{Name: "unknown_keys", Arg: "refuse|warn", Default: "refuse", Help: "what to do with keys that do not exist, in a conf file shared with another program"},
		conf.UnknownKeys(&s.Unknown))
	define(conf.Key{Name: "log_level", NetServer: true, Arg: "0-4", Default: "2", Help: "0 nothing, 1 errors and warnings, 2 notices, 3 each client, 4 debugging"}, conf.Int(&c.LogLevel, 0, 4))
	define(conf.Key{Name: "log_file", NetServer: true, Empty: conf.EmptyTakesOff, Arg: "FILE", Help: "file to append the log to, which is opened again when it was moved; or Sys::Syslog (default: standard error, in the journal's form under systemd)"}, conf.String(&c.LogFile))
	define(conf.Key{Name: "access_log_file", NetServer: true, Empty: conf.EmptyTakesOff, Arg: "FILE", Help: "file to append a line to for each HTTP request, and on other ports for each connection at its end; it is opened again when it was moved; or STDOUT, STDERR, Sys::Syslog or journal (systemd's, with fields; journal:SOCKET for another), or |PROGRAM ARGS, which gets the lines on its standard input"}, conf.String(&c.AccessLog))
	define(conf.Key{Name: "log_format", Arg: "line|json", Default: "line", Help: "Net::Server's lines, or a JSON object a line"}, conf.Choice(&c.LogFormat, "line", "json"))
	define(conf.Key{Name: "check", NotInFile: true, Help: "print the configuration as JSON and exit, opening nothing"}, conf.Bool(&c.check.on))
	define(conf.Key{Name: "peer", NotInFile: true, When: "check", Arg: "ADDRESS", Help: "with --check: tell whether a client of this address may come in, and by which rule; exit status 1 if no port lets it in"}, conf.String(&c.check.peer))
	define(conf.Key{Name: "peer_host", NotInFile: true, When: "check peer", Arg: "NAME", Help: "with --check --peer: the client's name, instead of looking it up"}, conf.String(&c.check.host))
	define(conf.Key{Name: "cert", NotInFile: true, When: "check " + factTLS, Arg: "FILE", Help: "with --check: the certificate that the client shows, in PEM with its chain"}, conf.String(&c.check.cert))
	define(conf.Key{Name: "sni", NotInFile: true, When: "check " + factStream, Arg: "NAME", Help: "with --check: the server name that the client asks for"}, conf.Func(c.check.setSNI))
	define(conf.Key{Name: "alpn", NotInFile: true, When: "check " + factStream, Arg: "PROTOCOL", List: true, Help: "with --check: a protocol that the client offers, for routes"}, conf.Func(c.check.setALPN))
}

func (c *Config) setType(vals []conf.Value) error {
	c.Type = ""
	for _, v := range vals {
		name, err := typeNamed(v)
		if err != nil {
			return err
		}
		if name == typeHTTP {
			c.handler.Web.HTTP, name = true, typeFork
		}
		c.Type = name
	}
	return nil
}

// label names the program in the log, as Net::Server does.
func (c *Config) label() string {
	if c.handler.Web.HTTP {
		return fmt.Sprintf("netserver (type HTTP -> %s)", c.Type)
	}
	return fmt.Sprintf("netserver (type %s)", c.Type)
}

// typeName is the type as it was asked for.
func (c *Config) typeName() string {
	if c.handler.Web.HTTP {
		return typeHTTP
	}
	return c.Type
}

// graceTime is the grace time as it is in force.
func (c *Config) graceTime() time.Duration {
	grace, _ := c.graceTimes()
	return grace
}

// graceSpread is the time after the grace time over which those who are still
// there are cut.
func (c *Config) graceSpread() time.Duration {
	_, spread := c.graceTimes()
	return spread
}

func (c *Config) graceTimes() (grace, spread time.Duration) {
	s := netserver.Server{Config: c.Server}
	return bridge.Of(s.Monitor()).GraceTimes()
}

func (c *Config) grace() string { return wire.GraceText(c.graceTime()) }
