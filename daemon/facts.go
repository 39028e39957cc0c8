package daemon

import (
	"runtime"

	"netserver/conf"
	"netserver/daemon/internal/logging"
	"netserver/internal/identity"
	"netserver/port"
	"netserver/tlsparams"
)

// The facts that a conf.Key.When can name, beside other keys. The engine's keys
// write the names out, since they are declared below this package.
const (
	factListens    = "listens"
	factSupervisor = "supervised"
	factBecome     = "becomes"
	factRestarts   = "restarts"
	factPool       = "pool"
	factPreFork    = "prefork"
	factMany       = "many"
	factCommand    = "command"
	factProgram    = "program"
	factRuns       = "runs"
	factEcho       = "echoes"
	factEchoLines  = "lines"
	factReads      = "reads"
	factSyslog     = "syslog"
	factConfined   = "confined"
	factTLS        = "tls"
	factHandshake  = "handshake"
	factStream     = "stream"
	factDatagram   = "datagram"
	factInet       = "inet"
	factTCP        = "tcp"
	factUDP        = "udp"
	factUnix       = "unix"
	factWatched    = "watched"
	factLinux      = "linux"
	factUseful     = "useful"
)

// A factText is a fact in words. A key whose facts do not hold in a start is
// refused; one of Net::Server's own (conf.Key.NetServer) is named in a warning, as
// old conf files should still start, unless refuse is set: then what the key
// asks for guards something, and the server would go without it.
type factText struct {
	name    string
	means   string // what docs/KEYS.md says
	without string // follows the name of a key that has no effect
	hint    string // what to do, beside leaving the key out
	refuse  bool
}

var factTexts = [...]factText{
	{factListens, "a type that opens ports: all but INET", "has no effect with type INET, which opens no port", "", false},
	{factSupervisor, "a supervisor; without one the key is refused", "requires a supervisor, and there is none", "", true},
	{factBecome, "a supervisor, or `user root`", "requires a supervisor, and there is none", "", true},
	{factRestarts, "a supervisor", "has no effect without a supervisor", "", false},
	{factPool, "type PreFork or PreForkSimple", "has no effect with this type of server", "give type PreFork or PreForkSimple", false},
	{factPreFork, "type PreFork", "has no effect with this type of server", "give type PreFork", false},
	{factMany, "a type that serves several clients at once: all but Single and INET", "has no effect with this type of server, which serves one client at a time", "", false},
	{factCommand, "the command netserver, not a Go program", "has no effect: this program serves its clients itself", "", false},
	{factProgram, "a program after `--`", "has no effect without a program", "give one after --", false},
	{factRuns, "a program after `--`, or dequeue_command", "has no effect without a program", "give one after --, or a dequeue_command", false},
	{factEcho, "the echo: no program or proxy_to", "has no effect: the clients are served by a program or by proxy_to", "", false},
	{factEchoLines, "the line echo: no program, proxy_to or echo raw", "has no effect without the line echo", "", false},
	{factReads, "the line echo, or a Go program", "has no effect: no handler here reads lines", "", false},
	{factSyslog, "log_file Sys::Syslog", "is not used: log_file is not Sys::Syslog", "give log_file Sys::Syslog", false},
	{factConfined, "Landlock: not with landlock 0, nor with a program unless landlock is 1", "has no effect without landlock", "give landlock 1", false},
	{factTLS, "a TLS port", "has no effect without a TLS port", "write the port as PORT/ssl", true},
	{factHandshake, "a TLS port", "has no effect without a TLS port", "write the port as PORT/ssl", false},
	{factStream, "a port with connections: tcp, ssl or unix", "has no effect on ports for datagrams", "", false},
	{factDatagram, "a port for datagrams: udp or unixdgram", "has no effect without a port for datagrams", "write the port as PORT/udp or PATH|unixdgram", false},
	{factInet, "a port other than a UNIX socket", "has no effect on UNIX sockets", "see unix_allow_user, unix_mode and their like for those", false},
	{factTCP, "a tcp or ssl port", "has no effect without a TCP port", "", false},
	{factUDP, "a udp port", "has no effect without a UDP port", "write the port as PORT/udp", false},
	{factUnix, "a UNIX socket", "has no effect without a UNIX socket", "write the port as PATH|unix", false},
	{factWatched, "exec_pipes 1, where a program serves plain clients", "cannot limit plain clients whose socket the program itself holds", "give exec_pipes 1", false},
	{factLinux, "Linux", "has no effect on this system", "", false},
	{factUseful, "nothing: the key is accepted without effect", "has no effect", "", false},
}

// fact returns the fact called name.
func fact(name string, holds bool) conf.Fact {
	for _, t := range factTexts {
		if t.name == name {
			return conf.Fact{Holds: holds, Without: t.without, Hint: t.hint, Refuse: t.refuse}
		}
	}
	panic("daemon: unknown fact " + name)
}

// facts states what holds in the start that c describes.
func (c *Config) facts(v *invocation) conf.Facts {
	inProcess, why := c.alone()
	lines := len(c.Program) == 0 && c.Handler.ProxyTo == ""
	library := v.server != nil
	f := make(conf.Facts)
	state := func(name string, holds bool) { f[name] = fact(name, holds) }
	supervised := fact(factSupervisor, !inProcess)
	supervised.Without += " " + why
	f[factSupervisor] = supervised
	// Of a process that cannot become anybody else, user can say only that
	// this is meant.
	supervised.Holds = !inProcess || c.Type != typeINET && identity.IsRoot() && asRoot(c.Process.User)
	f[factBecome] = supervised
	state(factListens, c.Type != typeINET)
	state(factRestarts, !inProcess)
	state(factPool, c.hasPool())
	state(factPreFork, c.Type == typePreFork)
	state(factMany, c.Type != typeSingle && c.Type != typeINET)
	state(factCommand, !library)
	state(factProgram, !library && len(c.Program) > 0)
	state(factRuns, !library && len(c.Program) > 0 || len(c.Jobs.Command) > 0)
	state(factEcho, !library && lines)
	state(factEchoLines, !library && lines && c.Handler.Echo != "raw")
	state(factReads, library || lines && c.Handler.Echo != "raw")
	state(factSyslog, logging.ToSyslog(c.LogFile))
	state(factConfined, c.Process.Landlock == "1" || c.Process.Landlock != "0" && !library && len(c.Program) == 0)
	state(factLinux, runtime.GOOS == "linux")
	state(factUseful, false)
	for name, holds := range c.portFacts(c.Server.Ports, v) {
		state(name, holds)
	}
	return f
}

// portFacts states what holds of some ports; of ports that are not known yet,
// everything. What a protocol of the program's own needs is not known either.
func (c *Config) portFacts(ports []port.Spec, v *invocation) map[string]bool {
	kinds := []string{factTLS, factHandshake, factStream, factDatagram, factInet, factTCP, factUDP, factUnix}
	has := make(map[string]bool)
	handed := v.server == nil && len(c.Program) > 0 && !c.Handler.ExecPipes
	plain := false
	add := func(facts ...string) {
		for _, f := range facts {
			has[f] = true
		}
	}
	for _, p := range ports {
		switch p.Kind() {
		case port.TCP:
			add(factStream, factInet, factTCP)
			plain = true
			// A handler may begin TLS there.
			has[factTLS] = has[factTLS] || v.server != nil
		case port.SSL:
			add(factStream, factInet, factTCP, factTLS, factHandshake)
		case port.UDP:
			add(factDatagram, factInet, factUDP)
		case port.Unix:
			add(factStream, factUnix)
			plain = true
			has[factTLS] = has[factTLS] || v.server != nil
		case port.UnixDgram:
			add(factDatagram, factUnix)
		default:
			add(kinds...)
		}
	}
	if len(ports) == 0 {
		add(kinds...)
	}
	if c.Type == typeINET {
		// Standard input may be any socket.
		add(factStream, factDatagram, factInet, factTCP, factUDP, factUnix)
	}
	for _, name := range kinds {
		has[name] = has[name] || false
	}
	has[factWatched] = !handed || !plain
	return has
}

// idleKeys finds the keys that were given and have no effect in this start:
// warnings for those of Net::Server, else problems.
func (v *invocation) idleKeys(c *Config, res *conf.Result) (warnings []string, err error) {
	facts := c.facts(v)
	anyPort := make(conf.Facts)
	for name := range c.portFacts(nil, v) {
		anyPort[name] = fact(name, true)
	}
	inBlock := func(at conf.Place, k conf.Key) conf.Facts {
		b := at.Blocks[0]
		if k.Group == "TLS" || k.Group == "sockets" {
			return facts.With(anyPort) // the port's protocol knows which it takes
		}
		var ports []port.Spec
		for _, p := range c.Server.Ports {
			if p.Origin == b.Origin {
				ports = append(ports, p)
			}
		}
		here := make(conf.Facts)
		for name, holds := range c.portFacts(ports, v) {
			here[name] = fact(name, holds)
		}
		return facts.With(here)
	}
	problems, ineffective := res.Ineffective(facts, inBlock)
	for _, w := range ineffective {
		warnings = append(warnings, w.Error())
	}
	if len(problems) > 0 {
		err = problems
	}
	if err != nil && !facts[factTLS].Holds {
		c.Server.TLS = tlsparams.Params{} // what is wrong with those that are refused does not matter
	}
	return warnings, err
}
