package peers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A Place is where a server runs, and with what.
type Place struct {
	Dir      string // for its files; of this server alone
	Port     uint16 // to listen on, of 127.0.0.1
	Backend  uint16 // to pass plain bytes on to, of 127.0.0.1
	CertFile string
	KeyFile  string
	PairFile string // both in one file
	Timeout  int    // seconds for a handshake
	Workers  int    // processes or threads, for servers that take a number
	Plain    bool   // without TLS, from those that Can
	Program  bool   // give each client to cat instead of to Backend, from those that Can
	Source   bool   // send without end instead of an echo, from those that Can
	Socket   string // path of a UNIX socket to listen on instead of Port, from those that Can
	Datagram bool   // UDP, from those that Can
	Web      string // directory to serve by HTTP; no peer can
}

// What a peer can do beside TLS in front of a backend, or its echo.
const (
	CanPlain      = 1 << iota
	CanProgram    // in plain text
	CanProgramTLS // over TLS
	CanSource
	CanSocket
	CanDatagram
	canWeb
)

// suite is the one of TLS 1.3 that all peers use: what crypto/tls chooses, so
// that all do the same work.
const suite = "TLS_AES_128_GCM_SHA256"

// wants returns what the place asks for beyond TLS in front of a backend.
func (p Place) wants() int {
	n := 0
	for bit, on := range map[int]bool{CanPlain: p.Plain, CanProgram: p.Program && p.Plain, CanProgramTLS: p.Program && !p.Plain, CanSource: p.Source, CanSocket: p.Socket != "", CanDatagram: p.Datagram, canWeb: p.Web != ""} {
		if on {
			n |= bit
		}
	}
	return n
}

// A Peer is another program that can serve TLS and pass plain bytes on, or
// give them back itself.
type Peer struct {
	Name    string
	Title   string   // for tables
	Debian  []string // the packages that it comes with
	Rare    bool     // used only where it happens to be installed
	Proxy   bool     // it passes bytes on, and has no echo of its own
	Can     int      // bits of CanPlain and so on
	program string
	needs   string // a file or Perl module that must be there too
	config  string // name of its file
	text    func(p Place) string
	args    func(p Place, config string) []string
}

// All returns the peers there are, installed or not.
func All() []Peer { return []Peer{stunnel, hitch, haproxy, nginx, ghostunnel, netServer} }

var stunnel = Peer{
	Name: "stunnel", Title: "stunnel", Debian: []string{"stunnel4"}, program: "stunnel4", config: "stunnel.conf",
	Proxy: true, Can: CanProgramTLS,
	args: func(_ Place, config string) []string { return []string{config} },
	text: func(p Place) string {
		to := fmt.Sprintf("connect = 127.0.0.1:%d", p.Backend)
		if p.Program {
			to = "exec = /bin/cat\nexecArgs = cat"
		}
		return fmt.Sprintf(`foreground = yes
debug = 3
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[echo]
accept = 127.0.0.1:%d
%s
cert = %s
key = %s
ciphersuites = %s
TIMEOUTbusy = %d
`, p.Port, to, p.CertFile, p.KeyFile, suite, p.Timeout)
	},
}

// hitch has a fixed time limit of 30 s for handshakes.
var hitch = Peer{
	Name: "hitch", Title: "Hitch", Debian: []string{"hitch"}, program: "hitch", config: "hitch.conf", Proxy: true,
	args: func(_ Place, config string) []string { return []string{"--config=" + config} },
	text: func(p Place) string {
		user := ""
		if os.Geteuid() == 0 {
			user = "nobody" // it refuses to work as root
		}
		return fmt.Sprintf(`frontend = "[127.0.0.1]:%d"
backend = "[127.0.0.1]:%d"
pem-file = "%s"
workers = %d
backlog = 4096
daemon = off
quiet = on
ciphersuites = "%s"
ocsp-dir = ""
user = "%s"
`, p.Port, p.Backend, p.PairFile, p.Workers, suite, user)
	},
}

var haproxy = Peer{
	Name: "haproxy", Title: "HAProxy", Debian: []string{"haproxy"}, program: "haproxy", config: "haproxy.cfg",
	Proxy: true, Can: CanPlain,
	args: func(_ Place, config string) []string { return []string{"-db", "-q", "-f", config} },
	text: func(p Place) string {
		secure := " ssl crt " + p.PairFile
		if p.Plain {
			secure = ""
		}
		return fmt.Sprintf(`global
	nbthread %d
	maxconn 9900
	ssl-default-bind-ciphersuites %s
defaults
	mode tcp
	maxconn 9900
	backlog 4096
	timeout connect 5s
	timeout client %ds
	timeout server 90s
frontend echo
	bind 127.0.0.1:%d%s
	default_backend echo
backend echo
	server echo 127.0.0.1:%d
`, p.Workers, suite, p.Timeout, p.Port, secure, p.Backend)
	},
}

var nginx = Peer{
	Name: "nginx", Title: "nginx", Debian: []string{"nginx-light", "libnginx-mod-stream"}, program: "nginx", config: "nginx.conf",
	Proxy: true, Can: CanPlain | CanDatagram,
	needs: "/usr/lib/nginx/modules/ngx_stream_module.so",
	args: func(p Place, config string) []string {
		return []string{"-c", config, "-p", p.Dir, "-e", filepath.Join(p.Dir, "error.log")}
	},
	text: func(p Place) string {
		user := ""
		if os.Geteuid() == 0 {
			user = "user root;\n"
		}
		how := ` ssl backlog=4096;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_conf_command Ciphersuites ` + suite + `;
		ssl_certificate ` + p.CertFile + `;
		ssl_certificate_key ` + p.KeyFile + `;
		ssl_handshake_timeout ` + strconv.Itoa(p.Timeout) + "s;"
		switch {
		case p.Datagram:
			how = " udp reuseport;"
		case p.Plain:
			how = " backlog=4096;"
		}
		return fmt.Sprintf(`load_module /usr/lib/nginx/modules/ngx_stream_module.so;
%sdaemon off;
pid %s/nginx.pid;
error_log %s/error.log crit;
worker_processes %d;
events { worker_connections 12000; }
stream {
	server {
		listen 127.0.0.1:%d%s
		proxy_pass 127.0.0.1:%d;
	}
}
`, user, p.Dir, p.Dir, p.Workers, p.Port, how, p.Backend)
	},
}

var ghostunnel = Peer{
	Name: "ghostunnel", Title: "ghostunnel", Debian: []string{"ghostunnel"}, program: "ghostunnel", config: "unused", Rare: true, Proxy: true,
	args: func(p Place, _ string) []string {
		return []string{"server", "--listen", fmt.Sprintf("127.0.0.1:%d", p.Port), "--target", fmt.Sprintf("127.0.0.1:%d", p.Backend),
			"--cert", p.CertFile, "--key", p.KeyFile, "--disable-authentication", "--quiet", "all"}
	},
	text: func(Place) string { return "" },
}

// netServer is Perl's Net::Server as a PreFork server of 80 processes with
// Proto::SSL. It has no time limit for handshakes.
var netServer = Peer{
	Name: "net-server", Title: "Net::Server PreFork", Debian: []string{"libnet-server-perl", "libio-socket-ssl-perl"}, program: "perl", config: "echo.pl",
	needs: "perl -MNet::Server::PreFork -MIO::Socket::SSL",
	Can:   CanPlain | CanProgram | CanSource | CanSocket | CanDatagram,
	args:  func(_ Place, config string) []string { return []string{config} },
	text: func(p Place) string {
		do := "while (sysread($client, my $block, 65536)) { print $client $block }"
		port := fmt.Sprintf("{ host => '127.0.0.1', port => %d, proto => 'ssl', SSL_cert_file => '%s', SSL_key_file => '%s', SSL_ciphersuites => '%s' }",
			p.Port, p.CertFile, p.KeyFile, suite)
		if p.Plain {
			port = fmt.Sprintf("'127.0.0.1:%d'", p.Port)
		}
		switch {
		case p.Socket != "":
			port = "'" + p.Socket + "|unix'"
		case p.Datagram:
			port = fmt.Sprintf("'127.0.0.1:%d/udp'", p.Port)
			do = "$client->send($self->{server}{udp_data}, 0)"
		}
		switch {
		case p.Program:
			do = "system '/bin/cat'"
		case p.Source:
			do = "sysread($client, my $line, 1); my $block = \"\\0\" x 16384; while (print $client $block) { }"
		}
		return fmt.Sprintf(`package Echo;
use strict;
use base 'Net::Server::PreFork';
sub process_request {
	my ($self, $client) = @_;
	$client->autoflush(1);
	%s;
}
Echo->run(port => %s, ipv => 4, log_level => 0, listen => 4096,
	min_servers => 20, max_servers => 80, min_spare_servers => 10, max_spare_servers => 40,
	max_requests => 1_000_000);
`, do, port)
	},
}

// Missing says what of the peer is not installed, or nothing.
func (p Peer) Missing() string {
	missing := func(what string) string {
		return fmt.Sprintf("%s is not installed (Debian: %s)", what, strings.Join(p.Debian, ", "))
	}
	if _, err := p.path(); err != nil {
		return missing(p.program)
	}
	if probe, ok := strings.CutPrefix(p.needs, "perl "); ok {
		if exec.Command("perl", append(strings.Fields(probe), "-e", "1")...).Run() != nil {
			return missing(probe)
		}
	} else if p.needs != "" {
		if _, err := os.Stat(p.needs); err != nil {
			return missing(p.needs)
		}
	}
	return ""
}

// path finds the program; sbin is not in everybody's PATH.
func (p Peer) path() (string, error) {
	name, err := exec.LookPath(p.program)
	if err != nil {
		return exec.LookPath(filepath.Join("/usr/sbin", p.program))
	}
	return name, nil
}

// Command writes the peer's configuration and returns what starts it. It stays
// in the foreground.
func (p Peer) Command(at Place) (*exec.Cmd, error) {
	if missing := p.Missing(); missing != "" {
		return nil, fmt.Errorf("%s: %s", p.Name, missing)
	}
	if at.wants()&^p.Can != 0 {
		return nil, fmt.Errorf("%s cannot do that: %w", p.Name, errors.ErrUnsupported)
	}
	name, err := p.path()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(at.Dir, p.config)
	if err := os.WriteFile(config, []byte(p.text(at)), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(name, p.args(at, config)...)
	cmd.Dir = at.Dir
	return cmd, nil
}
