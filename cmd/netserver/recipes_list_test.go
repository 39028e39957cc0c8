//go:build unix

package main_test

import (
	"errors"
	"os"
	"strings"

	"netserver/netservertest"
)

var recipes = []recipe{
	{
		section: "IMAP over TLS", programs: []string{"dovecot", "curl"},
		setUp: func(k *kitchen) {
			k.port("993")
			k.certificate("mail.pem", netservertest.Leaf{})
			k.dovecot("143")
		},
		after: func(k *kitchen) { k.server.awaitLog(`port=\S*/ssl .* tls="TLS 1\.3"`) },
	},
	{
		section: "Redis over TLS", programs: []string{"redis-server", "redis-cli"},
		setUp: func(k *kitchen) {
			k.port("6380")
			k.certificate("redis.pem", netservertest.Leaf{})
			k.redis("6379")
		},
	},
	{
		section: "From a plain port to a TLS server", programs: []string{"redis-server", "redis-cli"},
		setUp: func(k *kitchen) {
			k.port("6379")
			k.certificate("redis.pem", netservertest.Leaf{})
			k.certificate("client.pem", netservertest.Leaf{Name: "ops", Client: true})
			k.redis("9999", "--tls-port", k.port("6380"), "--tls-cert-file", k.path("redis.pem"), "--tls-key-file", k.path("redis.pem"),
				"--tls-ca-cert-file", k.path("ca.pem"), "--tls-auth-clients", "optional")
		},
	},
	{
		section: "From a plain port to a server with STARTTLS", programs: []string{"psql"},
		setUp: func(k *kitchen) {
			k.port("5432")
			k.certificate("db.pem", netservertest.Leaf{})
			if os.Geteuid() == 0 { // as nobody runs the server
				if err := os.Chown(k.path("db.pem"), 65534, 65534); err != nil {
					k.Fatal(err)
				}
			}
			k.postgres("5433", "-c", "ssl=on", "-c", "ssl_cert_file="+k.path("db.pem"), "-c", "ssl_key_file="+k.path("db.pem"))
		},
	},
	{
		section: "PostgreSQL", programs: []string{"psql", "openssl"},
		setUp: func(k *kitchen) {
			k.port("5432")
			k.certificate("db.pem", netservertest.Leaf{})
			k.postgres("5433")
		},
		after: func(k *kitchen) { k.server.awaitLog(`tls="TLS 1\.3"`) },
	},
	{
		section: "MariaDB and MySQL", programs: []string{"mariadb", "mariadbd", "mariadb-install-db"},
		setUp: func(k *kitchen) {
			k.port("3306")
			k.certificate("db.pem", netservertest.Leaf{})
			k.mariadb("3307")
		},
		after: func(k *kitchen) { k.server.awaitLog(`tls="TLS 1\.[23]"`) },
	},
	{
		section: "A directory over TLS", programs: []string{"slapd", "slapadd", "ldapsearch"},
		setUp: func(k *kitchen) {
			k.port("389")
			k.port("636")
			k.certificate("ldap.pem", netservertest.Leaf{})
			k.slapd("1389")
		},
		after: func(k *kitchen) { k.server.awaitLogs(`served .*tls="TLS 1\.3"`, 2) },
	},
	{
		section: "Mail", programs: []string{"postfix", "dovecot", "swaks", "curl"},
		setUp: func(k *kitchen) {
			for _, p := range []string{"587", "143", "993"} {
				k.port(p)
			}
			k.certificate("mail.pem", netservertest.Leaf{})
			k.postfix("2525")
			k.dovecot("1143")
		},
	},
	{
		section: "Many names, HTTP/2, and the client's address", programs: []string{"nginx", "curl"},
		setUp: func(k *kitchen) {
			k.port("443")
			k.port("8080")
			k.port("8081")
			mkdir(k, k.path("sites"))
			for _, name := range []string{"one", "two"} {
				k.certificate("sites/"+name+".pem", netservertest.Leaf{Name: name, Hosts: []string{name + ".example.com"}})
			}
			k.nginx("8080", `
server { listen 127.0.0.1:8080 proxy_protocol; return 200 "$host, for $proxy_protocol_addr\n"; }
server { listen 127.0.0.1:8081 http2 proxy_protocol; return 200 "$host, for $proxy_protocol_addr\n"; }
`)
		},
		after: func(k *kitchen) {
			if k.toml {
				k.server.awaitLog(`route=sites\.toml:9 .*` + k.port("8081"))
				k.server.awaitLog(`route=sites\.toml:13 .*` + k.port("8080"))
			}
		},
	},
	{
		section: "Certificates by themselves", programs: []string{"pebble", "dnsmasq", "nginx", "curl"},
		setUp: func(k *kitchen) {
			k.port("443")
			k.port("8080")
			k.nginx("8080", `server { listen 127.0.0.1:8080; return 200 "this is HTTP\n"; }`)
			k.pebble("443")
		},
	},
	{
		section: "Clients with certificates, a server on a UNIX socket", programs: []string{"redis-server", "redis-cli"},
		setUp: func(k *kitchen) {
			k.port("8443")
			k.certificate("server.pem", netservertest.Leaf{})
			k.certificate("ops.pem", netservertest.Leaf{Name: "ops", Client: true})
			k.certificate("guest.pem", netservertest.Leaf{Name: "guest", Client: true})
			k.redis("6379", "--unixsocket", k.path("redis.sock"), "--unixsocketperm", "777")
		},
		after: func(k *kitchen) {
			k.server.awaitLog(`verdict="allowed by cn ops"`)
			k.server.awaitLog(`denied client.*CN=guest.*on no allow list`)
		},
	},
	{
		section: "Two servers, one of them enough", programs: []string{"redis-server", "redis-cli"},
		setUp: func(k *kitchen) {
			k.port("6379")
			k.redis("7001")
			k.redis("7002")
			run(k, "redis-cli", "-p", k.port("7001"), "SET", "name", "one").all()
			run(k, "redis-cli", "-p", k.port("7002"), "SET", "name", "two").all()
		},
		after: func(k *kitchen) {
			k.server.awaitLog(`target is down backend=redis target=127\.0\.0\.1:` + k.port("7001"))
		},
	},
	{
		section: "By name, without decrypting", programs: []string{"nginx", "curl"},
		setUp: func(k *kitchen) {
			for _, name := range []string{"one", "two"} {
				k.certificate(name+".pem", netservertest.Leaf{Name: name, Hosts: []string{name + ".example.com"}})
			}
			k.port("443")
			k.port("8001")
			k.port("8002")
			servers := ""
			for port, name := range map[string]string{"8001": "one", "8002": "two"} {
				servers += strings.NewReplacer("PORT", port, "NAME", name).Replace(
					"server { listen 127.0.0.1:PORT ssl; ssl_certificate /etc/ssl/NAME.pem; ssl_certificate_key /etc/ssl/NAME.pem; return 200 \"this is NAME\\n\"; }\n")
			}
			k.nginx("8001", servers)
		},
		after: func(k *kitchen) { k.server.awaitLog(`no route for sni three\.example\.com`) },
	},
	{
		section: "TLS, SSH and HTTP on one port", programs: []string{"nginx", "sshd", "ssh", "ssh-keygen", "curl"},
		setUp: func(k *kitchen) {
			k.certificate("web.pem", netservertest.Leaf{})
			k.port("443")
			k.port("8443")
			k.port("8080")
			k.nginx("8443", `
server { listen 127.0.0.1:8443 ssl; ssl_certificate /etc/ssl/web.pem; ssl_certificate_key /etc/ssl/web.pem; return 200 "this is HTTPS\n"; }
server { listen 127.0.0.1:8080; return 200 "this is HTTP\n"; }
`)
			k.sshd("22")
		},
	},
	{
		section: "A program for each client", programs: []string{"nc"},
		setUp: func(k *kitchen) { k.port("7000") },
		after: func(k *kitchen) { k.server.awaitLog(`served client=1 .*stage=handler`) },
	},
	{
		section: "Several small services", programs: []string{"nc", "openssl"},
		setUp: func(k *kitchen) {
			k.certificate("server.pem", netservertest.Leaf{})
			k.port("7")
			k.port("13")
			k.port("7013")
		},
	},
	{
		section: "A program with limits and a user of its own", programs: []string{"nc"},
		setUp: func(k *kitchen) {
			if os.Geteuid() != 0 {
				k.Skip("only root may start programs as others")
			}
			k.port("7100")
			k.port("7101")
		},
	},
	{
		section: "A web server for files", programs: []string{"curl"},
		setUp: func(k *kitchen) {
			k.port("443")
			k.certificate("www.pem", netservertest.Leaf{})
			if err := os.MkdirAll(k.path("www/.git"), 0o755); err != nil {
				k.Fatal(err)
			}
			write(k, k.path("www/index.html"), "<h1>Hello</h1>\n")
			if err := errors.Join(os.Chmod(k.path("www"), 0o755), os.Chmod(k.path("www/index.html"), 0o644)); err != nil { // for nobody
				k.Fatal(err)
			}
			write(k, k.path("www/.git/config"), "secret\n")
		},
		after: func(k *kitchen) { k.server.awaitLog(`served .*http=h2 requests=1`) },
	},
	{
		section: "Programs by path (CGI)", programs: []string{"curl", "perl"},
		setUp: func(k *kitchen) {
			k.port("8080")
			if err := netservertest.WriteProgram(k.path("hello.pl"), []byte(`#!/usr/bin/perl
print "Content-Type: text/plain\n\n";
print "Hello $ENV{REMOTE_ADDR}, you asked for $ENV{PATH_INFO}\n";
`), 0o755); err != nil {
				k.Fatal(err)
			}
		},
	},
	{
		section: "HTTPS before an application", programs: []string{"nginx", "curl"},
		setUp: func(k *kitchen) {
			k.port("443")
			k.certificate("www.pem", netservertest.Leaf{})
			k.port("3000")
			k.nginx("3000", `server { listen 127.0.0.1:3000; return 200 "$http_x_forwarded_for by $http_x_forwarded_proto\n"; }`)
		},
	},
	{
		section: "DNS, also over TLS", programs: []string{"dnsmasq", "dig"},
		setUp: func(k *kitchen) {
			k.port("53")
			k.port("853")
			k.certificate("dns.pem", netservertest.Leaf{})
			k.dnsmasq("5353")
		},
	},
}
