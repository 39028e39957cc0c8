package daemon

import (
	"fmt"
	"slices"
	"strings"

	"netserver/conf"
)

// types are the server types of the original, those that cannot be run among
// them.
var types = []string{"Fork", "Single", "PreForkSimple", "PreFork", "Multiplex", "INET", "HTTP", "PSGI", "Thread", "MultiType"}

// Types returns the names of the server types that can be run, as the command
// line and server_type take them, for documentation and completions.
func Types() []string {
	return slices.DeleteFunc(slices.Clone(types), func(t string) bool {
		return absentTypes[t] != ""
	})
}

// The server types that can be run.
const (
	typeFork          = "Fork"
	typeSingle        = "Single"
	typePreForkSimple = "PreForkSimple"
	typePreFork       = "PreFork"
	typeMultiplex     = "Multiplex"
	typeINET          = "INET"

	// typeHTTP is HTTP on another type: the command's http key for all ports.
	typeHTTP = "HTTP"
)

// absentTypes are the original's types that cannot be run, with what to use.
var absentTypes = map[string]string{
	"PSGI":   "runs Perl applications, which this program cannot; give proxy_to a server that runs the application",
	"Thread": "serves each client in a thread of Perl; use Fork, which serves any number of clients at once in one process",
}

// pickType chooses among the values of server_type as the original does: the
// first type that can be run. Where there is none, the first value stays, for
// the error that it is.
func pickType(vals []conf.Value) conf.Value {
	for _, v := range vals {
		if _, err := typeNamed(v); err == nil && !strings.HasSuffix(strings.ToLower(v.Text), "multitype") {
			return v
		}
	}
	return vals[0]
}

// defaultType sets the type where server_type says none: Fork, and for HTTP
// PreFork, as in the original, where it can be.
func (c *Config) defaultType(res *conf.Result) {
	alone, _ := c.alone()
	switch {
	case len(res.Given()["server_type"]) > 0:
	case c.handler.Web.HTTP && !alone:
		c.Type = typePreFork
	case c.Type == "":
		c.Type = typeFork
	}
}

// typeNamed returns the server type that v names, in any case, or why it
// cannot be run.
func typeNamed(v conf.Value) (string, error) {
	name := strings.TrimPrefix(strings.Trim(v.Text, " \t"), "Net::Server::")
	for _, t := range types {
		if !strings.EqualFold(t, name) {
			continue
		}
		if why := absentTypes[t]; why != "" {
			return "", v.Errorf("type %s %s", t, why)
		}
		if t == "MultiType" { // it is what server_type does
			return typeFork, nil
		}
		return t, nil
	}
	p := v.Errorf("there is no type %q", v.Text)
	if near := conf.Nearest(name, types); near != "" {
		p.Hint = fmt.Sprintf("did you mean %s?", near)
	}
	return "", p
}

// defineUnbuilt names the original's keys that netserver does not have, so that giving one says so.
func defineUnbuilt(s *conf.Set) {
	for _, k := range []struct{ why, names string }{
		{"a Go program gives a worker its own link in Hooks.WorkerStart", "child_communication"},
		{"it has no effect in the original either", "spare_servers"},
		{"a worker can only request shutdown", "no_close_by_child"},
		{"accepting is not serialized here: every worker waits on the socket itself, and the kernel wakes one", "serialize lock_file"},
		{"there is one socket class", "ipv6_package"},
		{"a Go program sets Server.Log; the command has log_file and log_format", "log_function log4perl_conf log4perl_logger log4perl_poll"},
		{"a Go handler writes to its Conn, and a program's own stdin and stdout are the client", "no_client_stdout tie_client_stdout tied_stdin_callback tied_stdout_callback"},
		{"a Go program reads Hooks.Closed", "access_log_function"},
		{"write the port as PATH|unix or PATH|unixdgram", "unix_path"},
		{"datagrams are received whole; no flag is left to set", "udp_recv_flags"},
	} {
		for name := range strings.FieldsSeq(k.names) {
			s.Define(conf.Key{Name: name, Refuse: k.why}, nil)
		}
	}
}
