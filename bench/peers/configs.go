package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
}

// A Peer is another program that can serve TLS and pass plain bytes on, or
// give them back itself.
type Peer struct {
	Name    string
	Title   string   // for tables
	Debian  []string // the packages that it comes with
	program string
	needs   string // a file or Perl module that must be there too
	config  string // name of its file
	text    func(p Place) string
	args    func(p Place, config string) []string
}

// All returns the peers there are, installed or not.
func All() []Peer { return []Peer{stunnel, hitch, haproxy, nginx, netServer} }

var stunnel = Peer{
	Name: "stunnel", Title: "stunnel", Debian: []string{"stunnel4"}, program: "stunnel4", config: "stunnel.conf",
	args: func(_ Place, config string) []string { return []string{config} },
	text: func(p Place) string {
		return fmt.Sprintf(`foreground = yes
debug = 3
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[echo]
accept = 127.0.0.1:%d
connect = 127.0.0.1:%d
cert = %s
key = %s
TIMEOUTbusy = %d
`, p.Port, p.Backend, p.CertFile, p.KeyFile, p.Timeout)
	},
}

// hitch has a fixed time limit of 30 s for handshakes.
var hitch = Peer{
	Name: "hitch", Title: "Hitch", Debian: []string{"hitch"}, program: "hitch", config: "hitch.conf",
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
ocsp-dir = ""
user = "%s"
`, p.Port, p.Backend, p.PairFile, p.Workers, user)
	},
}

var haproxy = Peer{
	Name: "haproxy", Title: "HAProxy", Debian: []string{"haproxy"}, program: "haproxy", config: "haproxy.cfg",
	args: func(_ Place, config string) []string { return []string{"-db", "-q", "-f", config} },
	text: func(p Place) string {
		return fmt.Sprintf(`global
	nbthread %d
	maxconn 9900
defaults
	mode tcp
	maxconn 9900
	backlog 4096
	timeout connect 5s
	timeout client %ds
	timeout server 30s
frontend echo
	bind 127.0.0.1:%d ssl crt %s
	default_backend echo
backend echo
	server echo 127.0.0.1:%d
`, p.Workers, p.Timeout, p.Port, p.PairFile, p.Backend)
	},
}

var nginx = Peer{
	Name: "nginx", Title: "nginx", Debian: []string{"nginx-light", "libnginx-mod-stream"}, program: "nginx", config: "nginx.conf",
	needs: "/usr/lib/nginx/modules/ngx_stream_module.so",
	args: func(p Place, config string) []string {
		return []string{"-c", config, "-p", p.Dir, "-e", filepath.Join(p.Dir, "error.log")}
	},
	text: func(p Place) string {
		user := ""
		if os.Geteuid() == 0 {
			user = "user root;\n"
		}
		return fmt.Sprintf(`load_module /usr/lib/nginx/modules/ngx_stream_module.so;
%sdaemon off;
pid %s/nginx.pid;
error_log %s/error.log crit;
worker_processes %d;
events { worker_connections 12000; }
stream {
	server {
		listen 127.0.0.1:%d ssl backlog=4096;
		ssl_protocols TLSv1.2 TLSv1.3;
		ssl_certificate %s;
		ssl_certificate_key %s;
		ssl_handshake_timeout %ds;
		proxy_pass 127.0.0.1:%d;
	}
}
`, user, p.Dir, p.Dir, p.Workers, p.Port, p.CertFile, p.KeyFile, p.Timeout, p.Backend)
	},
}

// netServer is Perl's Net::Server as a PreFork server of 80 processes with
// Proto::SSL. It has no time limit for handshakes.
var netServer = Peer{
	Name: "net-server", Title: "Net::Server PreFork", Debian: []string{"libnet-server-perl", "libio-socket-ssl-perl"}, program: "perl", config: "echo.pl",
	needs: "perl -MNet::Server::PreFork -MIO::Socket::SSL",
	args:  func(_ Place, config string) []string { return []string{config} },
	text: func(p Place) string {
		return fmt.Sprintf(`package Echo;
use strict;
use base 'Net::Server::PreFork';
sub process_request {
	my ($self, $client) = @_;
	while (defined(my $line = <$client>)) { print $client $line }
}
Echo->run(port => '127.0.0.1:%d/ssl', ipv => 4, log_level => 0, listen => 4096,
	min_servers => 20, max_servers => 80, min_spare_servers => 10, max_spare_servers => 40,
	max_requests => 1_000_000, SSL_cert_file => '%s', SSL_key_file => '%s');
`, p.Port, p.CertFile, p.KeyFile)
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
