package convert

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// An option is a line of stunnel's file.
type option struct {
	name  string // in small letters
	value string // may be a password: no note shows that of an option it does not know
	shown string // the name as it was written
}

// A service is a section of stunnel's file, with the options that stood before
// the first section behind its own.
type service struct {
	name string
	opts []option
}

// last returns the value of the last of a service's own options of a name, else
// that which holds for all.
func (s service) last(name string) string {
	for _, o := range slices.Backward(s.opts) {
		if o.name == name {
			return o.value
		}
	}
	return ""
}

func (s service) yes(name string) bool { return strings.EqualFold(s.last(name), "yes") }

// all returns every value of a name.
func (s service) all(name string) []string {
	var values []string
	for _, o := range s.opts {
		if o.name == name {
			values = append(values, o.value)
		}
	}
	return values
}

// globals are the options of stunnel as a whole; every other one that stands
// before the first section is the default of all services.
const globals = " setuid setgid chroot pid foreground debug output syslog fips compression engine enginectrl enginedefault rndfile rndbytes rndoverwrite egd socket include log service iconactive iconerror iconidle taskbar "

// stunnel converts a file of stunnel.
func (c *converter) stunnel(text string) {
	var global, defaults []option
	var services []service
	for n, line := range strings.Split(strings.TrimPrefix(text, "\uFEFF"), "\n") {
		line = strings.TrimSpace(line)
		name, value, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		o := option{strings.ToLower(name), strings.TrimSpace(value), name}
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			services = append(services, service{name: strings.TrimSpace(line[1 : len(line)-1])})
		case !ok:
			c.note(fmt.Sprintf("line %d", n+1), "it is neither [SERVICE] nor OPTION = VALUE")
		case strings.Contains(globals, " "+o.name+" "): // wherever it stands
			global = append(global, o)
		case len(services) == 0:
			defaults = append(defaults, o)
		default:
			s := &services[len(services)-1]
			s.opts = append(s.opts, o)
		}
	}
	if len(services) == 0 {
		services = []service{{name: "stunnel"}}
	}
	c.stunnelGlobals(global)
	named := make(map[string][]service) // those that a name chooses, by the one that listens
	for i := range services {
		s := &services[i]
		s.opts = slices.Concat(defaults, s.opts)
		if master, _, ok := strings.Cut(s.last("sni"), ":"); ok && s.last("accept") == "" && s.last("psksecrets") == "" {
			named[master] = append(named[master], *s)
		}
	}
	for _, s := range services {
		where := "[" + s.name + "]"
		master, _, byName := strings.Cut(s.last("sni"), ":")
		switch {
		case s.last("psksecrets") != "":
			c.note(where, "left out: its peers prove themselves by PSKsecrets, and there are no pre-shared keys here; use certificates")
		case s.last("accept") != "":
			c.stunnelService(s, named[s.name])
		case !byName:
			c.note(where, "left out: it has no accept, so that it listens on no port")
		case !slices.ContainsFunc(services, func(m service) bool {
			return m.name == master && m.last("accept") != "" && m.last("psksecrets") == "" && !m.yes("client")
		}):
			c.note(where, "left out: a name chooses it, but no service that listens for TLS is called %s", master)
		}
	}
}

// stunnelGlobals converts what holds for the whole program.
func (c *converter) stunnelGlobals(opts []option) {
	for _, o := range opts {
		switch o.name {
		case "setuid":
			c.top.text("user", o.value)
		case "setgid":
			c.top.text("group", o.value)
		case "chroot":
			c.top.text("chroot", o.value)
		case "pid":
			if o.value != "" {
				c.top.text("pid_file", o.value)
			}
		case "output":
			c.top.text("log_file", o.value)
		case "debug":
			c.top.set("log_level", strconv.Itoa(logLevel(o.value)))
		case "foreground":
			if strings.EqualFold(o.value, "no") {
				c.top.set("background", "1")
			}
		case "syslog":
			if strings.EqualFold(o.value, "yes") && c.top.values["log_file"] == "" {
				c.top.text("log_file", "Sys::Syslog")
			}
		case "fips", "compression":
			if !strings.EqualFold(o.value, "no") {
				c.note(o.shown, "it is not taken over: there is no such switch")
			}
		default:
			c.note(o.shown, "it is not taken over")
		}
	}
}

// logLevel is ours for a level of syslog, a number or [FACILITY.]NAME.
func logLevel(text string) int {
	text = strings.ToLower(text[strings.LastIndexByte(text, '.')+1:])
	n := slices.Index([]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}, text)
	if n < 0 {
		n, _ = strconv.Atoi(text)
	}
	switch {
	case n >= 7:
		return 4
	case n == 6:
		return 3
	case n == 5:
		return 2
	}
	return 1
}

// starttlsNames are our names of protocols.
var starttlsNames = map[string]string{"smtp": "smtp", "imap": "imap", "pop3": "pop3", "nntp": "nntp", "pgsql": "postgres", "ldap": "ldap"}

// stunnelService converts one service that listens, with those that its
// clients come to by the name that they ask for.
func (c *converter) stunnelService(s service, named []service) {
	l := section{comment: "[" + s.name + "]"}
	client := s.yes("client")
	port, ok := endpoint(s.last("accept"), "")
	if !ok {
		c.note("["+s.name+"]", "left out: accept = %s is no port", s.last("accept"))
		return
	}
	switch {
	case strings.HasPrefix(port, "/") && client:
		port += "|unix"
	case strings.HasPrefix(port, "/"):
		port += "|unixssl"
	case !client:
		port += "/ssl"
	}
	l.text("port", port)
	prefix := "SSL_"
	if client {
		prefix = "backend_"
		l.set("backend_tls", "true")
	} else if s.last("cert") == "" {
		c.note("["+s.name+"]", "it has no cert; SSL_cert_file is to be added")
	}
	if len(named) > 0 && !client {
		rest := section{comment: "[" + s.name + "]"}
		c.stunnelTarget(&rest, s)
		c.stunnelOptions(&l, s, prefix, client)
		for _, n := range named {
			c.stunnelNamed(&l, n)
		}
		rest.text("name", s.name)
		l.routes = append(l.routes, rest)
	} else {
		c.stunnelTarget(&l, s)
		c.stunnelOptions(&l, s, prefix, client)
	}
	c.listens = append(c.listens, l)
}

// stunnelOptions converts what a service says beside its target.
func (c *converter) stunnelOptions(l *section, s service, prefix string, client bool) {
	c.stunnelVerify(l, s, client)
	c.stunnelOCSP(l, s, client)
	for _, o := range s.opts {
		if o.value != s.last(o.name) && o.name != "options" {
			continue // a later one goes before it
		}
		c.stunnelOption(l, s, o, prefix, client)
	}
}

// stunnelNamed converts a service that a server name chooses as a route of the
// port that listens, and its TLS parameters as those of that name.
func (c *converter) stunnelNamed(l *section, s service) {
	var names []string
	for _, v := range s.all("sni") {
		_, name, _ := strings.Cut(v, ":")
		if name = strings.ToLower(name); hostName.MatchString(name) {
			names = append(names, name)
		} else {
			c.note("["+s.name+"]", "sni = %s is not taken over: it is neither a name nor *.NAME", v)
		}
	}
	if len(names) == 0 {
		return
	}
	r := section{comment: "[" + s.name + "]"}
	r.text("name", s.name)
	r.set("sni", array(names))
	c.stunnelTarget(&r, s)
	own := section{}
	c.stunnelOptions(&own, s, "SSL_", false)
	for _, key := range []string{"SSL_verify_mode", "SSL_force_fingerprint"} {
		if own.values[key] == "" && l.values[key] != "" {
			own.set(key, "0") // what the one that listens asks for is not asked for here
		}
	}
	for _, key := range own.keys {
		switch {
		case own.values[key] == l.values[key]:
		case strings.HasPrefix(key, "SSL_") && namedKeys[key]:
			for _, name := range names {
				c.setFor(l, name, key, own.values[key])
			}
		case strings.HasPrefix(key, "exec_") || strings.HasPrefix(key, "proxy_connect"):
			r.set(key, own.values[key])
		default:
			c.note("["+s.name+"]", "%s is not taken over: it is a matter of the whole port", key)
		}
	}
	l.routes = append(l.routes, r)
}

// namedKeys are those with values for single server names.
var namedKeys = map[string]bool{
	"SSL_cert_file": true, "SSL_key_file": true, "SSL_ca_file": true, "SSL_ca_path": true, "SSL_crl_file": true, "SSL_check_crl": true,
	"SSL_verify_mode": true, "SSL_fingerprint": true, "SSL_force_fingerprint": true, "SSL_ocsp_check": true, "SSL_ocsp_responder": true,
	"SSL_allow_dns": true, "SSL_allow_ip": true, "SSL_allow_email": true, "SSL_cipher_list": true,
}

// stunnelTarget writes whom clients are connected to, or the program.
func (c *converter) stunnelTarget(l *section, s service) {
	var targets []string
	for _, v := range s.all("connect") {
		t, ok := endpoint(v, "localhost")
		if !ok {
			c.note("["+s.name+"]", "connect = %s is no target", v)
			continue
		}
		targets = append(targets, t)
	}
	program := s.last("exec")
	switch {
	case len(targets) > 0 && program != "":
		c.note("["+s.name+"]", "exec beside connect is not taken over")
		fallthrough
	case len(targets) == 1:
		l.text("proxy_to", targets[0])
	case len(targets) > 1:
		b := section{}
		b.text("name", s.name)
		b.set("targets", array(targets))
		balance := "round_robin"
		if strings.EqualFold(s.last("failover"), "prio") {
			balance = "priority"
		}
		b.text("balance", balance)
		c.backends = append(c.backends, b)
		l.text("backend", s.name)
	case program != "":
		args := strings.Fields(s.last("execargs"))
		if len(args) > 0 {
			args = args[1:] // the first is the program's own name
		}
		l.set("program", array(append([]string{program}, args...)))
	default:
		c.note("["+s.name+"]", "it has neither connect nor exec: proxy_to is to be added, or the clients get an echo")
	}
}

// endpoint writes [HOST:]PORT or a path as ours; host stands before a port
// alone.
func endpoint(text, host string) (string, bool) {
	if strings.HasPrefix(text, "/") {
		return text, true
	}
	port := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, port = strings.Trim(text[:i], "[]"), text[i+1:]
	}
	if port == "" || strings.ContainsAny(port, " \t/|,") || strings.ContainsAny(host, " \t/|,") {
		return "", false
	}
	if host == "" {
		return port, true
	}
	return net.JoinHostPort(host, port), true
}
