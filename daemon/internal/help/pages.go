package help

// A page is one of docs/, and what it is about.
type page struct{ file, about string }

// pages are those that somebody with a question can read.
var pages = [...]page{
	{"README.md", "what it does, a minute's tour"},
	{"docs/RECIPES.md", "whole configurations: IMAP, Redis, PostgreSQL, MySQL, LDAP, mail, SSH, DNS, balancing, mutual TLS, sites by name (SNI)"},
	{"docs/CONFIGURATION.md", "command line, environment, conf files, TOML: blocks and routes for several ports"},
	{"docs/TLS.md", "TLS: certificates, keys, client certificates (mutual TLS), versions, ciphers, SNI, ALPN, OCSP, CRL, tickets"},
	{"docs/ACME.md", "certificates by ACME: Let's Encrypt, renewal"},
	{"docs/STARTTLS.md", "STARTTLS: SMTP, IMAP, POP3, LDAP, PostgreSQL, MySQL, XMPP, with TLS before or behind"},
	{"docs/BACKENDS.md", "backends: several targets, balancing, health checks, TLS to targets, PROXY headers"},
	{"docs/PROXY-PROTOCOL.md", "PROXY protocol: headers of clients and for targets"},
	{"docs/HANDLERS.md", "who serves the clients: programs, proxy, echo; limits and users of programs"},
	{"docs/HTTP.md", "HTTP: type HTTP, CGI, applications, files, access log"},
	{"docs/DATAGRAMS.md", "UDP and UNIX datagrams, DNS, sessions"},
	{"docs/ADMISSION.md", "limits by source, rates, penalties, handshakes, access rules, denied clients"},
	{"docs/DAEMON.md", "the process: users, reload and HUP, signals, systemd, sandbox, background, pid file, workers"},
	{"docs/CLUSTER.md", "cluster: several machines that share tickets, bans and limits by a directory, Redis, Valkey or NATS"},
	{"docs/CONTROL.md", "netserver ctl: ask a running server, status, drain, kill"},
	{"docs/TELEMETRY.md", "OpenTelemetry: traces, spans and metrics by OTLP, traceparent, collector"},
	{"docs/ADMIN.md", "the live page, metrics for Prometheus, health checks, status over HTTP: admin"},
	{"docs/OPERATIONS.md", "running it: monitoring, alerts, outcomes and what to do, sizing, restarts, drain, dashboard for Grafana"},
	{"docs/METRICS.md", "every metric and its labels, for Prometheus and netserver ctl metrics"},
	{"docs/LOGS.md", "logs: levels, lines and JSON, syslog, records of clients"},
	{"docs/SECURITY.md", "security: what is defended, key isolation, Landlock, seccomp"},
	{"docs/INSTALL.md", "install: packages, systemd units, Docker, completions"},
	{"docs/NET-SERVER.md", "coming from Perl's Net::Server"},
	{"docs/KEYS.md", "every key in one table"},
}
