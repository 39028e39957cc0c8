package daemon

import (
	"runtime"

	"netserver/conf"
	"netserver/daemon/internal/serving"
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
	factCommand    = serving.FactCommand
	factShared     = serving.FactShared
	factProgram    = serving.FactPrograms
	factProxies    = serving.FactProxies
	factChecked    = serving.FactChecked
	factRuns       = serving.FactRuns
	factEcho       = serving.FactEchoes
	factEchoLines  = serving.FactLines
	factReads      = serving.FactReads
	factWeb        = serving.FactWeb
	factApps       = serving.FactApps
	factScripts    = serving.FactScripts
	factStarted    = serving.FactStarted
	factSyslog     = "syslog"
	factNamedLog   = "namedlog"
	factConfined   = "confined"
	factTLS        = "tls"
	factHandshake  = "handshake"
	factKeys       = "keys"
	factStream     = "stream"
	factDatagram   = "datagram"
	factApart      = "apart"
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
	{factShared, "a port without a handler of its own", "has no effect: every port has a handler of its own", "", false},
	{factProgram, "a program that serves clients, not HTTP requests", "has no effect without a program", "give one after --", false},
	{factRuns, "a program that serves clients or HTTP requests, or dequeue_command", "has no effect without a program", "give one after --, or a dequeue_command", false},
	{factWeb, "HTTP: type HTTP, http or app", "has no effect without HTTP", "give type HTTP, or http", false},
	{factApps, "app", "has no effect without app", "give app", false},
	{factScripts, "HTTP with app or a program", "has no effect without HTTP and a program", "give type HTTP and app", false},
	{factStarted, "a program that serves clients or HTTP requests", "has no effect without a program", "give one after --", false},
	{factProxies, "proxy_to or backend", "has no effect without a target", "give proxy_to", false},
	{factChecked, "a [[backend]] with `check`", "has no effect without a [[backend]] whose targets are checked", "give it check", false},
	{factEcho, "the echo: no program, proxy_to or backend", "has no effect: the clients are served by something else", "", false},
	{factEchoLines, "the line echo", "has no effect without the line echo", "", false},
	{factReads, "the line echo, or a Go program", "has no effect: no handler here reads lines", "", false},
	{factSyslog, "log_file or access_log_file Sys::Syslog", "is not used: log_file is not Sys::Syslog", "give log_file Sys::Syslog", false},
	{factNamedLog, "log_file or access_log_file Sys::Syslog, or access_log_file journal", "is not used: log_file is not Sys::Syslog", "give log_file Sys::Syslog", false},
	{factConfined, "Landlock: not with landlock 0, nor with a program unless landlock is 1", "has no effect without landlock", "give landlock 1", false},
	{factTLS, "a TLS port", "has no effect without a TLS port", "write the port as PORT/ssl or PATH|unixssl", true},
	{factHandshake, "a TLS port", "has no effect without a TLS port", "write the port as PORT/ssl or PATH|unixssl", false},
	{factKeys, "a TLS port, or a certificate that targets are shown (backend_cert_file)", "has no effect without a TLS port", "write the port as PORT/ssl or PATH|unixssl", true},
	{factStream, "a port with connections: tcp, ssl, unix or unixssl", "has no effect on ports for datagrams", "", false},
	{factDatagram, "a port for datagrams: udp or unixdgram", "has no effect without a port for datagrams", "write the port as PORT/udp or PATH|unixdgram", false},
	{factApart, "a port for datagrams of which each is a client: not with proxy_to or backend, unless proxy_max_sessions is none", "has no effect on ports for datagrams whose clients have sessions", "see proxy_max_sessions for those", false},
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
	library := v.server != nil
	programs := !library && c.services.RunPrograms()
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
	state(factShared, c.services.Shared())
	for name, holds := range c.serviceFacts(c.services.Used(), library) {
		state(name, holds)
	}
	f[factRuns] = fact(factRuns, programs || len(c.Jobs.Command) > 0)
	f[factEcho] = fact(factEcho, !library && c.services.Echoes())
	state(factSyslog, c.logging().UsesSyslog())
	state(factNamedLog, c.logging().UsesIdent())
	state(factConfined, c.Process.Landlock == "1" || c.Process.Landlock != "0" && !library && !programs)
	state(factLinux, runtime.GOOS == "linux")
	state(factUseful, false)
	for name, holds := range c.portFacts(c.Server.Ports, c.servicesOf(c.Server.Ports), v) {
		state(name, holds)
	}
	state(factKeys, f[factTLS].Holds || c.services.Identified())
	return f
}

// serviceFacts states what holds of services; a library has its own.
func (c *Config) serviceFacts(list []*serving.Service, library bool) map[string]bool {
	if !library {
		return c.services.Facts(list)
	}
	has := make(map[string]bool)
	for _, name := range serving.ServiceFacts() {
		has[name] = name == factReads
	}
	return has
}

// servicesOf returns what serves the clients of ports that are the first ones.
func (c *Config) servicesOf(ports []port.Spec) []*serving.Service {
	list := make([]*serving.Service, len(ports))
	for i := range ports {
		list[i] = c.services.Of(i)
	}
	return list
}

// portFacts states what holds of some ports, whose clients services serve; of
// ports that are not known yet, everything. What a protocol of the program's own
// needs is not known either.
func (c *Config) portFacts(ports []port.Spec, served []*serving.Service, v *invocation) map[string]bool {
	kinds := []string{factTLS, factHandshake, factStream, factDatagram, factApart, factInet, factTCP, factUDP, factUnix}
	has := make(map[string]bool)
	handed := false // the socket of a plain client is a program's
	add := func(facts ...string) {
		for _, f := range facts {
			has[f] = true
		}
	}
	plain := func(i int) {
		if v.server == nil && i < len(served) {
			handed = handed || served[i].HandsSockets()
		}
	}
	apart := func(i int) {
		has[factApart] = has[factApart] || v.server != nil || i >= len(served) || !served[i].HasSessions()
	}
	for i, p := range ports {
		switch p.Kind() {
		case port.TCP:
			add(factStream, factInet, factTCP)
			plain(i)
			// A handler may begin TLS there.
			has[factTLS] = has[factTLS] || v.server != nil
		case port.SSL:
			add(factStream, factInet, factTCP, factTLS, factHandshake)
		case port.UDP:
			add(factDatagram, factInet, factUDP)
			apart(i)
		case port.Unix:
			add(factStream, factUnix)
			plain(i)
			has[factTLS] = has[factTLS] || v.server != nil
		case port.UnixSSL:
			add(factStream, factUnix, factTLS, factHandshake)
		case port.UnixDgram:
			add(factDatagram, factUnix)
			apart(i)
		default:
			add(kinds...)
		}
	}
	if len(ports) == 0 {
		add(kinds...)
	}
	if c.Type == typeINET {
		// Standard input may be any socket.
		add(factStream, factDatagram, factApart, factInet, factTCP, factUDP, factUnix)
	}
	for _, name := range kinds {
		has[name] = has[name] || false
	}
	has[factWatched] = !handed
	return has
}

// factsIn states what holds for the keys of a block.
func (c *Config) factsIn(at conf.Place, v *invocation) conf.Facts {
	here := make(conf.Facts)
	state := func(facts map[string]bool) {
		for name, holds := range facts {
			here[name] = fact(name, holds)
		}
	}
	if at.Table == serving.TableBackend {
		state(map[string]bool{factProxies: true})
		return here
	}
	var ports []port.Spec
	var served []*serving.Service
	for i, n := range c.blockOf {
		if n == at.Index[0] && i < len(c.Server.Ports) {
			ports, served = append(ports, c.Server.Ports[i]), append(served, c.services.Of(i))
		}
	}
	state(c.portFacts(ports, served, v))
	var all []*serving.Service
	for _, s := range served {
		if len(at.Index) > 1 {
			if to := s.Route(at.Index[1]); to != nil {
				s = to
			}
		}
		all = append(all, s.Leaves()...)
	}
	if len(ports) > 0 { // else they are not known
		state(c.serviceFacts(all, v.server != nil))
	}
	state(map[string]bool{factShared: true})
	return here
}

// idleKeys finds the keys that were given and have no effect in this start:
// warnings for those of Net::Server, else problems.
func (v *invocation) idleKeys(c *Config, res *conf.Result) (warnings []string, err error) {
	facts := c.facts(v)
	anyPort := make(conf.Facts)
	for name := range c.portFacts(nil, nil, v) {
		anyPort[name] = fact(name, true)
	}
	inBlock := func(at conf.Place, k conf.Key) conf.Facts {
		if k.Group == "TLS" || k.Group == "sockets" {
			return facts.With(anyPort) // the port's protocol knows which it takes
		}
		return facts.With(c.factsIn(at, v))
	}
	problems, ineffective := res.Ineffective(facts, inBlock)
	if v.server == nil {
		warnings = c.services.UnusedBackends()
	}
	for _, w := range ineffective {
		warnings = append(warnings, w.Error())
	}
	if len(problems) > 0 {
		meantOtherwise(problems)
		err = problems
	}
	if err != nil && !facts[factTLS].Holds {
		c.Server.TLS = tlsparams.Params{} // what is wrong with those that are refused does not matter
	}
	return warnings, err
}
