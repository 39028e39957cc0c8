package events

// An Event is a line of the main log.
type Event struct {
	// Message is what it says, with … for what differs.
	Message string
	// From is the file that logs it, of a text that is made elsewhere: errors,
	// lists, audit lines. All others are found by their message.
	From string
	// Level and Fields are what the call does not tell, or not all of it.
	Level  string
	Fields []string
	Means  string
	Do     string // "" for nothing
}

// A Group is a part of the table.
type Group struct {
	Name   string
	Events []Event
}

// record are the fields of a client's line, in their order. Those that a client
// does not have are left out.
var record = []string{"client", "port", "peer", "via", "stage", "tls", "cipher", "sni", "certificate", "verdict", "resumed", "close_notify", "in", "out", "time", "what its handler notes", "err", "stack", "outcome"}

// as stands for the fields of a client's line.
var as = []string{"as of `served`"}

// Groups returns the table, in the order in which it is shown.
func Groups() []Group {
	return []Group{
		{"Clients", clients}, {"Start and end", lifecycle}, {"Reload", reload}, {"Processes", processes}, {"Certificates and rules", files},
		{"Backends", backends}, {"Programs and HTTP", programs}, {"Several machines", cluster}, {"Logs, admin and control", sides},
	}
}

var clients = []Event{
	{Message: "served", Level: "info", Fields: record, Means: "a client has ended without an error"},
	{Message: "left", Level: "info", Fields: as, Means: "the client went away while it was served"},
	{Message: "failed", Level: "notice", Fields: as, Means: "the client was not served, or not to its end; one that had left when it was accepted has no `client`", Do: "by its outcome: [OPERATIONS.md](OPERATIONS.md#outcomes)"},
	{Message: "denied", Level: "notice", Fields: as, Means: "a rule or a hook refused it", Do: "`netserver --check --peer ADDRESS`"},
	{Message: "cut", Level: "notice", Fields: as, Means: "it was still here when the server stopped, or its generation had to end"},
	{Message: "killed", Level: "notice", Fields: as, Means: "an operator ended it"},
	{Message: "panicked", Level: "error", Fields: as, Means: "a defect in a handler or hook; other clients go on", Do: "report it, with the stack"},
	{Message: "challenge answered", Level: "info", Fields: as, Means: "a certificate authority has seen the answer to its challenge"},
	{Message: "probe", Level: "debug", Fields: as, Means: "it left without having sent a byte ([Health checks](#health-checks))"},
	{Message: "refused", Fields: []string{"port", "peer", "limit"}, Means: "a limit closed the connection when it was accepted, or the sessions of a port for datagrams are used up", Do: "`netserver ctl limits`"},
	{Message: "would refuse", Fields: []string{"port", "peer", "limit", "client", "rule"}, Means: "limits_shadow, or a rule in shadow mode: what would have refused it"},
	{Message: "would cut", Means: "limits_shadow: it is below a minimum rate"},
	{Message: "further clients not logged individually, by outcome", Level: "notice", Fields: []string{"outcome names"}, Means: "how many more of an outcome there were in this minute than have lines"},
	{Message: "further client failures not logged individually", Level: "notice", Means: "more than 50 lines of clients in a second"},
	{Message: "source put into the penalty box", Means: "its connections are closed for that time", Do: "`netserver ctl penalties` if it should not be there"},
	{Message: "datagram longer than udp_recv_len; not served", Means: "it is lost", Do: "a larger `udp_recv_len`, if it is wanted"},
	{Message: "panic in a hook", Means: "a defect in the program's own hook", Do: "report it, with the stack"},
	{Message: "`CONNECT ... Peer: ... Local: ...`", From: "daemon/internal/logging/connect.go", Level: "info", Fields: []string{"client"}, Means: "a client is served, as Net::Server logs it"},
	{Message: "what a rule for names says", From: "authorize.go", Level: "info, warning, error", Fields: []string{"client"}, Means: "the look-up of a client's name; what is wrong with a file of rules that was changed (the rules of before stay)", Do: "mend the file that it names"},
}

var lifecycle = []Event{
	{Message: "… starting! pid(…)", Means: "the server starts; the first line of each start"},
	{Message: "Binding to … port … on host … with IPv…", Means: "a port is opened"},
	{Message: "Binding to … socket file …", Means: "a UNIX socket is opened"},
	{Message: "  Bound to auto-assigned port …", Means: "which one port 0 became"},
	{Message: "  Bound to service port …(…)", Means: "which one the name of a service stands for"},
	{Message: "port … is already open: the service manager opened it (descriptor …)", Means: "socket activation"},
	{Message: "identity of the serving processes: …", Means: "user, groups and what confines them; from here on it serves"},
	{Message: "max_connections … is more than … descriptors are enough for (… clients): raise the limit (ulimit -n, limit_nofile), or clients will wait in the backlog for descriptors", Means: "as it says", Do: "raise the limit"},
	{Message: "notes, warnings and errors of a start", From: "daemon/alone.go", Level: "notice, warning, error", Means: "TLS parameters in use, keys without an effect, what is wrong with the configuration; an error ends the start", Do: "as it says; `netserver --check` prints the same"},
	{Message: "notes of a start with a supervisor", From: "daemon/internal/supervisor/generation.go", Level: "notice", Means: "the same"},
	{Message: "what the first worker notes", From: "daemon/internal/supervisor/hear.go", Level: "notice", Means: "TLS parameters in use, by port"},
	{Message: "warnings, errors and the state", From: "daemon/internal/supervisor/supervisor.go", Level: "debug, notice, warning", Means: "warnings of a configuration that serves, an answer to the signal that asks for the state, what the service manager could not be told"},
	{Message: "errors of a worker", From: "daemon/internal/worker/worker.go", Level: "notice", Means: "why its serving ended"},
	{Message: "errors of the service manager", From: "daemon/alone_manager.go", Level: "warning", Means: "it cannot be told that the server is ready or alive", Do: "look at NOTIFY_SOCKET of the unit"},
	{Message: "Received a SIG …: stopping", Means: "clients are cut"},
	{Message: "Received a SIG … again: stopping", Means: "a second signal: clients that had time are cut"},
	{Message: "Received a SIG …", Means: "a signal for the supervisor"},
	{Message: "Received a SIG …: a restart in place requires a supervisor; nothing changed", Means: "HUP with `supervisor 0`", Do: "start it anew"},
	{Message: "Received a SIG …: no new clients; current ones have …", Means: "QUIT: it drains"},
	{Message: "shutting down: no new clients; current ones have …", Means: "it drains"},
	{Message: "a client requested shutdown", Means: "echo's command `exit`, or a handler's"},
	{Message: "a client ends the server: it sent exit", Means: "echo's command", Do: "`--echo raw` has no commands"},
	{Message: "the supervisor of process … is gone: no new clients; current ones have …", Means: "the supervisor was killed: its workers end", Do: "find out by whom: out of memory?"},
	{Message: "Server closing!", Means: "the server ends"},
}
