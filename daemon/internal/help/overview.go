package help

import (
	"fmt"
	"io"
	"strings"

	"netserver/conf"
)

// examples are what people want first, and the command line for it.
var examples = [...]struct{ want, command string }{
	{"an echo", "netserver --port 20203"},
	{"TLS before a backend", "netserver --port 443/ssl --SSL_cert_file site.pem \\\n--proxy_to 127.0.0.1:80"},
	{"a program", `netserver --port 7000 -- sh -c 'read x; echo "got $x"'`},
	{"mutual TLS", "netserver --port 443/ssl --SSL_cert_file site.pem \\\n--SSL_verify_mode 3 --SSL_ca_file ca.pem \\\n--proxy_to 127.0.0.1:80"},
	{"check", "netserver --check --conf_file netserver.toml"},
}

// common are the keys that most configurations are made of.
var common = [...]struct{ key, help string }{
	{"port", "where clients connect: 443/ssl, 127.0.0.1:53/udp"},
	{"conf_file", "file of keys and values; TOML if it ends in .toml"},
	{"proxy_to", "connect clients to HOST:PORT or to a UNIX socket"},
	{"backend_tls", "speak TLS to the target"},
	{"starttls", "TLS starts within smtp, imap, postgres and others"},
	{"SSL_cert_file", "the server's certificate, with its chain"},
	{"SSL_key_file", "its key, if it is in a file of its own"},
	{"SSL_verify_mode", "3: clients have to show a certificate"},
	{"SSL_ca_file", "who signs the certificates of clients"},
	{"SSL_allow_cn", "names of client certificates to let in"},
	{"acme_domains", "names to order certificates for, by ACME"},
	{"cidr_allow", "networks that may connect"},
	{"max_servers", "clients that are served at once"},
	{"max_per_source", "clients of one address at once"},
	{"timeout_idle", "after which a silent client is cut"},
	{"proxy_protocol", "clients come with PROXY headers"},
	{"user", "who serves the clients, when root starts the server"},
	{"log_level", "2 notices, 3 each client, 4 debugging"},
	{"log_file", "instead of standard error; or Sys::Syslog"},
	{"background", "go into the background"},
	{"check", "print the configuration as JSON and open nothing"},
}

// where leads on from the overview.
var where = [...]struct{ command, what string }{
	{"netserver --help WORD", "keys, groups and pages about a word: tls, limits"},
	{"netserver --help all", "every key, types, signals and exit statuses"},
	{"netserver init JOB", "a first conf file: front, program, mutual, web"},
	{"netserver convert FILE", "writes a file of stunnel or hitch as one of netserver"},
	{"netserver ctl VERB", "asks a running server; see netserver ctl --help"},
}

// column is where the second column of the overview begins.
const column = 22

// overview writes one screen.
func overview(w io.Writer, set *conf.Set) {
	var b strings.Builder
	b.WriteString("Usage: netserver [TYPE] [--key value]... [-- PROGRAM [ARG]...]\n\n" +
		"Gives each client of any number of TLS, TCP, UDP and UNIX ports to a program, to\n" +
		"a backend, or else to an echo.\n\n")
	for _, e := range examples {
		line(&b, e.want, e.command)
	}
	b.WriteByte('\n')
	for _, c := range common {
		k, _ := set.Lookup(c.key)
		usage := "--" + k.Name
		switch {
		case k.Bool || k.Arg == "":
		case len(usage)+1+len(k.Arg) > column:
			usage += " ..."
		default:
			usage += " " + k.Arg
		}
		line(&b, usage, c.help)
	}
	b.WriteByte('\n')
	for _, s := range where {
		line(&b, s.command, s.what)
	}
	io.WriteString(w, b.String())
}

// line writes two columns. Further lines of the second stand below its first,
// further in.
func line(b *strings.Builder, first, second string) {
	for i, text := range strings.Split(second, "\n") {
		if i > 0 {
			first, text = "", "  "+text
		}
		fmt.Fprintf(b, "  %-*s  %s\n", column, first, text)
	}
}
