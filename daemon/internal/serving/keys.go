package serving

import (
	"strings"
	"time"

	"netserver/conf"
	"netserver/handler/exec"
	"netserver/handler/proxy"
	"netserver/handler/starttls"
	dialog "netserver/starttls"
	"netserver/tlsparams/outbound"
)

// A Config chooses among the ready handlers and sets them up.
type Config struct {
	Program []string // that serves each client, with its arguments
	ProxyTo []string // host:port or a socket's path; several are for as many ports
	Backend string   // the name of a [[backend]]
	Echo    string   // lines (the default) or raw

	// StartTLS is the protocol whose clients start TLS, and what follows it:
	// see handler/starttls.Parse. It is a port's, not a route's.
	StartTLS string

	EchoControl   bool          // exit, get and dump for every client, not only local ones
	ExecStderr    string        // log (the default), client, drop or inherit
	ExecKillAfter time.Duration // between TERM and KILL
	ExecEnv       []string      // NAME, NAME=VALUE or PREFIX*, further ones in the environment of programs and jobs
	ExecSpare     int           // started programs that wait for clients
	ExecPipes     bool          // join plain clients by pipes, not by their socket
	Exec          ExecConfig

	SessionTimeout time.Duration // of a datagram port's client
	MaxSessions    int           // of a datagram port; 0 is the default, negative makes each datagram a client
	Answers        int           // of a target to each datagram; 0 is any number
	AnswerTimeout  time.Duration // of a target, where their number is known

	Dial DialConfig
	Web  WebConfig
}

// A DialConfig says how targets are connected to, of proxy_to or of a [[backend]].
type DialConfig struct {
	ConnectTimeout time.Duration
	Transparent    bool           // connect from the client's address
	ProxyProtocol  string         // the PROXY header that a target gets: off (the default), v1 or v2
	ProxyTLVs      proxy.TLVs     // what a header of version 2 tells beside addresses
	ProxyReceived  proxy.Received // what becomes of a header that the client came with

	TLS       bool            // to targets
	TLSParams outbound.Params // how, if so
	StartTLS  dialog.Protocol // whose dialog comes before it; 0 is none
}

// The keys that choose a handler. A port or a route has one of them at most.
const (
	keyProgram = "program"
	KeyProxyTo = "proxy_to"
	keyBackend = "backend"
	keyEcho    = "echo"
)

// The keys of PROXY headers for targets, and the versions there are.
const (
	keyBackendHeader   = "backend_proxy_protocol"
	keyBackendTLVs     = "backend_proxy_tlvs"
	keyBackendReceived = "backend_proxy_received"

	headerV1 = "v1"
	headerV2 = "v2"
)

const (
	keyHealth   = "health" // the engine's
	keyStartTLS = "starttls"

	keyTransparent = "transparent"
	keyExecSpare   = "exec_spare"
)

// SeveralTargets says what to do with more than one target.
const SeveralTargets = "write several as a [[backend]] of a TOML conf file"

// Group is the group that the keys stand under in help.
const Group = "handlers"

// The facts that the keys need, beside those of ports.
const (
	FactCommand  = "command"
	FactShared   = "shared"
	FactPrograms = "programs"
	FactRuns     = "runs"
	FactProxies  = "proxies"
	FactChecked  = "checked"
	FactEchoes   = "echoes"
	FactLines    = "lines"
	FactReads    = "reads"
	FactWeb      = "web"
	FactApps     = "apps"
	FactScripts  = "scripts"
	FactStarted  = "started"

	factTLS      = "tls"
	factStream   = "stream"
	factListens  = "listens"
	factDatagram = "datagram"
)

// Define defines the keys of h: for the whole server and its ports.
func (h *Config) Define(s *conf.Set) {
	h.defineFor(s, func(k conf.Key, b conf.Binder) {
		k.Group, k.PerPort = Group, true
		s.Define(k, b)
	})
	s.Define(conf.Key{Name: keyStartTLS, Group: Group, PerPort: true, When: factTLS + " " + FactProxies, Arg: "PROTOCOL", Help: "the clients of TLS ports begin in plain text and start TLS as this protocol has it: " + strings.Join(dialog.Names(), ", ") + ". After it any of optional (clients may go on without TLS), name=HOST (in greetings), and for smtp xclient (tell the target the client's address)"},
		conf.Func(h.setStartTLS))
}

func (h *Config) setStartTLS(vals []conf.Value) error {
	v := vals[len(vals)-1]
	if _, err := starttls.Parse(v.Text); err != nil {
		return v.Errorf("%v", err)
	}
	h.StartTLS = v.Text
	return nil
}

// defineInRoute defines the same keys on the Set of a table, where each has the
// value around the table if it has none of its own.
func (h *Config) defineInRoute(s *conf.Set) {
	h.defineFor(s, func(k conf.Key, b conf.Binder) {
		k.Inherits = true
		s.Define(k, b)
	})
}

func (h *Config) defineFor(s *conf.Set, def func(conf.Key, conf.Binder)) {
	define := func(when conf.When, name, arg, def_, help string, b conf.Binder) {
		def(conf.Key{Name: name, Arg: arg, Default: def_, Help: help, When: when}, b)
	}
	const chosen = FactCommand + " " + FactShared
	def(conf.Key{Name: keyProgram, When: chosen, Arg: "WORD", List: true, Help: "program that serves each client, and its arguments: a word each time the key is given, and no shell reads them; on the command line they may stand after --"},
		conf.Strings(&h.Program))
	def(conf.Key{Name: KeyProxyTo, When: chosen, Arg: "TARGET", List: true, Help: "connect each client to host:port, to a UNIX socket's path, or to srv:NAME, a name with SRV records; of several the n-th goes with the n-th port"},
		conf.Strings(&h.ProxyTo))
	define(chosen, keyBackend, "NAME", "", "connect each client to a target of this [[backend]] of the conf file", conf.String(&h.Backend))
	h.defineSessions(define)
	h.Dial.define(def)
	h.Web.define(def)
	define(FactEchoes, keyEcho, "lines|net-server|raw", "lines", "without another handler: Net::Server's echo of lines (both words), or bytes back unchanged (RFC 862)", conf.Choice(&h.Echo, "lines", "net-server", "raw"))
	define(FactLines, "echo_control", "0|1", "", "let every client of the line echo use exit, get and dump, not only local ones", conf.Bool(&h.EchoControl))
	define(FactStarted, "exec_stderr", "log|client|drop|inherit", "log", "where a program's standard error goes", conf.Choice(&h.ExecStderr, "log", "client", "drop", "inherit"))
	def(conf.Key{Name: "exec_env", When: FactRuns, Arg: "NAME[=VALUE]", List: true, Secret: true, Help: "variable in the environment of programs and jobs, one each time the key is given: NAME and PREFIX* pass on the server's own. They have PATH, TZ, LANG, LC_*, HOME, USER, LOGNAME and SHELL without it, and what tells of the client"},
		conf.Func(h.setExecEnv))
	define(FactPrograms+" "+factStream, "exec_pipes", "0|1", "", "join plain clients to the program by pipes, so that limits see their bytes, and not by their own socket", conf.Bool(&h.ExecPipes))
	h.Exec.define(define)
	define(FactPrograms+" "+factListens, keyExecSpare, "N", "0", "started programs of this port or route that wait for clients, in each process: a client does not wait for its program's start. These programs are joined by pipes, and get no variables that tell of their client", conf.Int(&h.ExecSpare, 0, exec.MaxSpare))
	define(FactStarted, "exec_kill_after", "SECONDS", "5", "between TERM and KILL for a program whose client has gone", conf.Seconds(&h.ExecKillAfter, time.Millisecond, 9*time.Second))
}

// defineSessions defines the keys of proxied datagrams.
func (h *Config) defineSessions(define func(when conf.When, name, arg, def, help string, b conf.Binder)) {
	const when = FactProxies + " " + factDatagram
	define(when, "proxy_session_timeout", "SECONDS", "30", "without a datagram in either direction, after which a client's session at a target ends", conf.Seconds(&h.SessionTimeout, time.Millisecond, 24*time.Hour))
	define(when, "proxy_max_sessions", "N", "", "sessions at once on a datagram port; one more ends the oldest of the source with the most (default 1024, or a quarter of the descriptors if that is less); none: each datagram is forwarded by itself", conf.Int(&h.MaxSessions, -1, 1<<20))
	define(when, "proxy_answers", "N", "", "datagrams that the target answers to each of a client: with the last one the session ends; none if it answers nothing (default: any number, at any time)", conf.Int(&h.Answers, -1, 1<<20))
	define(when, "proxy_answer_timeout", "SECONDS", "2", "for the target's answers where proxy_answers tells how many, and when the server drains", conf.Seconds(&h.AnswerTimeout, time.Millisecond, time.Minute))
}

// DefineTables defines the tables of a conf file that are about handlers.
func DefineTables(s *conf.Set) {
	new(backendConfig).define(s.DefineTable(conf.Table{Name: TableBackend,
		Help: "Targets under a name, which any number of ports and routes may share. What a backend does not say itself, the keys of the whole server say for all."}))
	new(routeConfig).define(s.DefineTable(conf.Table{Name: "listen." + TableRoute,
		Help: "Within a [[listen]] block: which of its clients are served by whom. The first route that fits a client serves it. What a route does not say itself, its port or the whole server says."}))
}

// Keys returns the keys by which a port has a handler of its own.
func Keys() []conf.Key {
	var s conf.Set
	new(Config).Define(&s)
	return s.Keys()
}

// define defines the keys of d with def: for the server and its ports, for a
// route, or for a [[backend]].
func (d *DialConfig) define(def func(conf.Key, conf.Binder)) {
	def(conf.Key{Name: "proxy_connect_timeout", When: FactProxies, Arg: "SECONDS", Default: "5", Help: "for the connection to a target"},
		conf.Seconds(&d.ConnectTimeout, time.Millisecond, time.Hour))
	def(conf.Key{Name: keyTransparent, When: FactProxies + " " + factStream + " inet|proxy_protocol " + factLinux, Arg: "0|1", Help: "connect to targets from the client's address, which they see then without any header. It takes a supervisor with CAP_NET_RAW or CAP_NET_ADMIN, such as root, and routes by which the targets' answers come back here"},
		conf.Bool(&d.Transparent))
	const withHeader = FactProxies + " " + keyBackendHeader
	def(conf.Key{Name: keyBackendHeader, When: FactProxies, Arg: "off|v1|v2", Default: "off", Help: "begin each connection to a target with a PROXY header that tells who the client is; v2 also each datagram"},
		conf.Choice(&d.ProxyProtocol, "off", headerV1, headerV2))
	def(conf.Key{Name: keyBackendTLVs, When: withHeader, Arg: "NAME", List: true, Help: "what a header of version 2 tells beside addresses: any of alpn, authority (SNI), unique_id, crc32c, ssl (version, cipher, whether a certificate was verified), and in that cn, group and cert (the client's certificate)"},
		conf.Func(d.setTLVs))
	def(conf.Key{Name: keyBackendReceived, When: withHeader, Arg: "merge|pass|replace", Default: "merge", Help: "what a target is told of a PROXY header that the client came with: its addresses always, and its entries too, except those that backend_proxy_tlvs replaces (merge), unchanged (pass), or not at all (replace)"},
		conf.Func(d.setReceived))
	d.defineTLS(def)
	d.defineStartTLS(def)
}

func (h *Config) setExecEnv(vals []conf.Value) error {
	h.ExecEnv = nil
	for _, v := range vals {
		if err := exec.CheckEnv(v.Text); err != nil {
			return v.Errorf("%v", err)
		}
		h.ExecEnv = append(h.ExecEnv, v.Text)
	}
	return nil
}
