package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"netserver/conf"
	"netserver/daemon/internal/ctl"
	"netserver/daemon/internal/logging"
	"netserver/daemon/internal/wire"
	"netserver/proto"
)

// Command is the command netserver: it runs the command line argv (without
// the program's name) under the environment environ and returns the exit
// status: 0 done, 1 failed at run time or the client of --check denied, 2 bad
// usage or configuration. Of the
// last it writes all problems to stderr at once, one on a line.
//
// The clients are served by further processes, for which Command starts the
// program of this one again, with the same arguments. It must call Command
// there too, before it does anything else that matters.
func Command(argv, environ []string, stdout, stderr io.Writer) int {
	stderr = notToClient(stderr)
	v := &invocation{argv: argv, environ: environ, stdout: stdout, stderr: stderr}
	err := v.takePart()
	if err != nil {
		return fail(stderr, err)
	}
	ctx := context.Background()
	if v.part == nil && len(argv) > 0 && argv[0] == "ctl" {
		find := func(keys []string) (string, error) { return controlSocket(keys, environ) }
		return ctl.Run(argv[1:], find, stdout, stderr)
	}
	v.signals = takeSignals(v.role())
	defer v.signals.end()
	if r := v.role(); r == wire.RoleWorker || r == wire.RoleBecome {
		return v.work(ctx)
	}
	set, c := v.newSet()
	args := set.ReadArgs(argv, types...)
	switch {
	case args.Help:
		printHelp(stdout, set)
		return wire.ExitDone
	case args.Version:
		fmt.Fprintln(stdout, "netserver", Version())
		return wire.ExitDone
	}
	code, err := v.begin(ctx, set, c, &args)
	var seen logging.Logged
	if errors.As(err, &seen) {
		err = nil
		if c.LogFile != "" {
			err = seen.Unwrap() // it went there alone
		}
	}
	if err != nil {
		fail(stderr, err)
	}
	return code
}

// begin reads the configuration, and prints it for --check, or does what the
// role of this process is. An error that it returns has not been shown to
// anybody yet.
func (v *invocation) begin(ctx context.Context, set *conf.Set, c *Config, args *conf.Args) (int, error) {
	p, pl, err := v.start(ctx, set, c, args)
	if c.check.on && p != nil {
		for _, s := range proto.Sources(p.transports) {
			for _, w := range s.Warnings() {
				logging.PrintWarning(v.stderr, errors.New(w)) // which a start would log
			}
		}
		allowed, cerr := p.printCheck(ctx, v.stdout, p.res)
		err = errors.Join(err, cerr)
		switch {
		case err == nil && !allowed:
			return wire.ExitFailed, nil
		case err == nil:
			return wire.ExitDone, nil
		}
	}
	return v.runAs(ctx, p, pl, err)
}

// runAs does what the role of this process is, after the configuration has
// been read; err is what was wrong with that.
func (v *invocation) runAs(ctx context.Context, p *program, pl *wire.Plan, err error) (int, error) {
	if v.role() == wire.RoleCheck {
		return v.answerCheck(p, pl, err), nil
	}
	if err != nil {
		return wire.ExitUsage, v.tellFront(err)
	}
	if err := p.conf.keepToItself(); err != nil {
		return wire.ExitFailed, v.tellFront(err)
	}
	if in, _ := p.conf.inProcess(); in {
		return p.run(ctx, v.stderr, v)
	}
	if (p.conf.Process.Background || p.conf.Process.Setsid) && v.role() != wire.RoleBackground {
		return v.background(p.conf)
	}
	return v.supervise(ctx, p, pl)
}

// fail prints problems, one on a line.
func fail(stderr io.Writer, err error) int {
	logging.PrintError(stderr, err)
	return wire.ExitUsage
}

const usage = `Usage: netserver [TYPE] [--key value | --key=value | key=value]... [-- PROGRAM [ARG]...]
       netserver ctl VERB      asks a running server; see netserver ctl --help

Listens on any number of TLS, TCP, UDP and UNIX ports at once and gives every
client to PROGRAM (its stdin and stdout are the client), to the backend of
--proxy_to, or else to an echo. Without arguments: the echo on port 20203.

TYPE is Fork (many clients at once, the default), Single (one after the other),
PreForkSimple (max_servers processes), PreFork (as many as are needed) or INET
(the client is standard input, as inetd has it). Keys also come from
NETSERVER_KEY in the environment and from the file of --conf_file; the command
line goes before the environment, and both before the file.

Signals: INT and TERM stop at once, QUIT lets clients finish for --grace
seconds, a second signal cuts them. HUP reads the configuration again and
changes over to it, and to the program's new version if there is one, without
losing a client; if something is wrong with it, nothing changes. TTIN and TTOU
add one to max_servers or take one away, USR1 opens the log file again, USR2
logs what the server is doing.

Exit status: 0 done, or stopped as asked; 1 failed at run time, or --check was
asked about a peer that no port would let in; 2 bad usage or configuration,
with a line for each problem, and nothing was started.

`

func printHelp(w io.Writer, set *conf.Set) {
	io.WriteString(w, usage)
	set.Help(w)
}

// otherNames says what to write in place of what people know from stunnel,
// hitch, HAProxy, ghostunnel, socat, nginx and others.
func otherNames() map[string]string {
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
		{"timeout idletimeout", "times are --timeout_idle, --timeout_handshake, --timeout_first_byte and others, which --help lists"},
		{"acl allowfrom whitelist allowlist", "who may connect: --cidr_allow 192.0.2.0/24; or allow, cidr_deny, deny"},
	} {
		for _, name := range strings.Fields(t.names) {
			names[name] = t.instead
		}
	}
	return names
}

// meantOtherwise adds to problems with keys that have no effect what they are
// taken for.
func meantOtherwise(problems conf.Problems) {
	names := otherNames()
	for _, e := range problems {
		if p, ok := e.(*conf.Problem); ok && names[p.Key] != "" {
			p.Hint += "; " + names[p.Key]
		}
	}
}
