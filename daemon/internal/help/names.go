package help

import "strings"

// OtherNames says what to write in place of what people know from stunnel,
// hitch, HAProxy, ghostunnel, socat, nginx and others, by names in small letters
// without dashes and underscores.
func OtherNames() map[string]string {
	names := make(map[string]string)
	for _, t := range [...]struct{ names, instead string }{
		{"listen bind accept address addr listenaddress listenport bindaddress frontend server p b l", "the ports that clients connect to: --port 127.0.0.1:443/ssl"},
		{"target targets upstream upstreams connect forward forwardto destination dest remote to proxypass backendaddress t", "whom clients are connected to: --proxy_to HOST:PORT, or a [[backend]] of a TOML conf file for several"},
		{"key keyfile privatekey privatekeyfile tlskey sslkey sslkeyfile tlskeyfile certkey certificatekey sslcertificatekey k", "the server's key: --SSL_key_file FILE"},
		{"cert certfile certificate certificatefile crt pem pemfile tlscert sslcert tlscertfile sslcertificate keystore", "the server's certificate: --SSL_cert_file FILE; with a TLS port, --port PORT/ssl"},
		{"ca cafile cacert cacerts cacertfile tlsca sslca clientca clientcafile trustedcertificate sslclientcertificate", "who signs the certificates of clients: --SSL_ca_file FILE; for those of targets it is backend_ca_file"},
		{"capath", "directories of authorities: --SSL_ca_path DIR, and for targets --backend_ca_path DIR"},
		{"tls ssl https usetls enabletls", "a TLS port is written so: --port PORT/ssl"},
		{"client", "TLS to the target: --backend_tls 1"},
		{"verify verifypeer verifyclient verifychain sslverifyclient requireclientcert clientauth", "whether clients have to show certificates: --SSL_verify_mode 3, with SSL_ca_file; that of targets is verified unless backend_verify is 0"},
		{"allowcn", "names of client certificates to let in: --SSL_allow_cn NAME"},
		{"config configfile configuration conf cfg c f", "the file of keys: --conf_file FILE"},
		{"daemon daemonize detach fork bg d", "to go into the background: --background 1; under systemd it is not needed"},
		{"verbose debug loglevel verbosity", "how much is logged: --log_level 4 is the most"},
		{"log logfile output logto o", "where the log goes: --log_file FILE, or Sys::Syslog"},
		{"uid username runas setuid u", "who serves the clients: --user NAME"},
		{"gid groupname setgid g", "that user's group: --group NAME"},
		{"threads workers processes nproc nbproc nbthread jobs j", "one process uses all processors; for several, begin with PreFork and give --max_servers N"},
		{"exec execute command cmd run e", "a program that serves each client follows --: netserver --port 7 -- PROGRAM"},
		{"sendproxy sendproxyv2 writeproxy proxyprotocolout", "the PROXY header for targets: --backend_proxy_protocol v2, or v1"},
		{"acceptproxy proxyprotocolin", "PROXY headers of clients: --proxy_protocol require, or accept, with proxy_protocol_from"},
		{"timeout idletimeout", "times are --timeout_idle, --timeout_handshake, --timeout_first_byte and others, which --help timeout lists"},
		{"stop reload restart status drain kill", "a running server is asked by netserver ctl: netserver ctl status, reload or stop; see netserver ctl --help"},
		{"start serve up", "no word starts a server, its keys do: netserver --port 7000 -- PROGRAM, or netserver --conf_file FILE"},
		{"foreground nodaemon nofork nodetach", "it stays in the foreground unless background is 1"},
		{"quiet silent q", "how much is logged: --log_level 1 is errors and warnings, 0 nothing"},
		{"test configtest testconfig validate dryrun", "what a configuration comes to: --check, beside its keys or --conf_file FILE"},
		{"check", "of a file: --check --conf_file FILE"},
		{"acl allowfrom whitelist allowlist", "who may connect: --cidr_allow 192.0.2.0/24; or allow, cidr_deny, deny"},
	} {
		for _, name := range strings.Fields(t.names) {
			names[name] = t.instead
		}
	}
	return names
}
