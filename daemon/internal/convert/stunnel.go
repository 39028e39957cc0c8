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
	for _, s := range services {
		own := s.opts
		s.opts = slices.Concat(defaults, own)
		if s.last("accept") == "" {
			why := "it has no accept, so that it listens on no port"
			if s.last("sni") != "" {
				why = "a service chosen by name: write it as a [[listen.route]] with sni (docs/CONFIGURATION.md), its certificate in SSL_cert_dir"
			}
			c.note("["+s.name+"]", "left out: %s", why)
			continue
		}
		if s.last("psksecrets") != "" {
			c.note("["+s.name+"]", "left out: its peers prove themselves by PSKsecrets, and there are no pre-shared keys here; use certificates")
			continue
		}
		c.stunnelService(s)
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

// stunnelService converts one service.
func (c *converter) stunnelService(s service) {
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
	c.stunnelTarget(&l, s)
	c.stunnelVerify(&l, s, client)
	for _, o := range s.opts {
		if o.value != s.last(o.name) && o.name != "options" {
			continue // a later one goes before it
		}
		c.stunnelOption(&l, s, o, prefix, client)
	}
	c.listens = append(c.listens, l)
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
