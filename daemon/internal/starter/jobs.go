package starter

import (
	"fmt"
	"path/filepath"
	"strings"
)

// The names of the files that Write makes; ServerName with those for TLS only.
const (
	ConfName   = "netserver.toml"
	caName     = "dev-ca.pem"
	ServerName = "dev-server.pem"
	clientName = "dev-client.pem"
	pageName   = "www/index.html"
)

// A plan is one job.
type plan struct {
	tls    bool
	conf   string   // DIR/ stands for the directory
	files  []file   // beside the conf file and certificates
	before []string // commands to start before the server
	try    string
}

// plans returns the jobs by their names.
func plans() map[string]plan {
	return map[string]plan{
		"front": {
			tls: true, conf: frontConf,
			before: []string{"netserver HTTP --port 127.0.0.1:8080"},
			try:    "curl --cacert " + caName + " https://localhost:8443/",
		},
		"program": {
			conf: programConf,
			try:  `echo world | nc -N 127.0.0.1 7000`,
		},
		"mutual": {
			tls: true, conf: mutualConf,
			try: `printf 'hello\nquit\n' | openssl s_client -quiet -verify_return_error -connect localhost:8443 -CAfile ` + caName + " -cert " + clientName,
		},
		"web": {
			tls: true, conf: webConf,
			files: []file{{name: pageName, mode: 0o644, text: []byte("<!DOCTYPE html>\n<title>netserver</title>\n<p>It works.</p>\n")}},
			try:   "curl --cacert " + caName + " https://localhost:8443/",
		},
	}
}

// conf returns the conf file of a job.
func conf(dir string, p plan) []byte {
	const head = `# A conf file of netserver. Look for mistakes in it, and start it:
#
#     netserver --check --conf_file netserver.toml
#     netserver --conf_file netserver.toml
#
# HUP makes a running server read it again, without losing a client. What else
# can stand here: netserver --help WORD, netserver --help all, and docs/.

`
	quoted := fmt.Sprintf("%q", filepath.ToSlash(dir)+"/")
	text := strings.ReplaceAll(head+p.conf, `"DIR/`, quoted[:len(quoted)-1])
	return []byte(text)
}

const certConf = `SSL_cert_file = "DIR/dev-server.pem"  # certificate and key; for development only
`

const frontConf = `log_level = 3                          # a line for each client; 2 is the default

[[listen]]
port = "127.0.0.1:8443/ssl"            # "443/ssl" is port 443 of all addresses
` + certConf + `proxy_to = "127.0.0.1:8080"            # the server that has no TLS
# backend_proxy_protocol = "v2"        # tells it who the client is, if it reads PROXY headers
# max_per_source = 20                  # clients of one address at once
# timeout_idle = 600                   # seconds without a byte
# cidr_allow = ["192.0.2.0/24"]        # who may connect
`

const programConf = `log_level = 3                          # a line for each client; 2 is the default
max_servers = 40                       # clients at once

[[listen]]
port = "127.0.0.1:7000"                # 7000 alone is that port of all addresses
program = ["sh", "-c", 'read name; echo "Hello $name"']  # its input and output are the client
max_per_source = 10                    # clients of one address at once
exec_timeout = 60                      # seconds that a program may run
# exec_env = ["LANG"]                  # variables that it gets beside those of its client
# cidr_allow = ["192.0.2.0/24"]        # who may connect
`

const mutualConf = `log_level = 3                          # a line for each client; 2 is the default

[[listen]]
port = "127.0.0.1:8443/ssl"            # "443/ssl" is port 443 of all addresses
` + certConf + `SSL_verify_mode = 3                    # clients have to show a certificate
SSL_ca_file = "DIR/dev-ca.pem"         # that is signed by this authority
SSL_allow_cn = "dev-client"            # and is for this name
# proxy_to = "127.0.0.1:8080"          # whom they are connected to; without it they get an echo
`

const webConf = `log_level = 3                          # a line for each client; 2 is the default

[[listen]]
port = "127.0.0.1:8443/ssl"            # "443/ssl" is port 443 of all addresses
` + certConf + `http_root = "DIR/www"                  # the files of this directory
# app = ["/cgi=/usr/lib/cgi-bin/hello"]  # programs for some paths (CGI)
# access_log_file stands above the first block: a line for each request
`
