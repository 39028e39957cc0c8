// Package exec is a Handler that runs a program for each client, with the
// program's standard input and output joined to the client, whatever the port
// speaks. It is what inetd, tcpserver and stunnel's exec do, for any number of
// ports at once.
//
//	h := &exec.Handler{Path: "cat"}
//	if err := h.Check(); err != nil { ... }
//	s := &netserver.Server{Handler: h}
//
// # How program and client are joined
//
// A plain TCP or UNIX stream client hands the program its socket, as
// descriptors 0 and 1, so that getpeername works and no byte passes through
// the server. Every other stream client (TLS, or a plain one of which bytes
// have been read already) is joined by two pipes. Pipes have two advantages
// over a socketpair: each direction ends separately when a program closes one
// descriptor, and /dev/stdin and /dev/stdout can be opened. A socketpair had
// twice the throughput, but either is faster than TLS.
//
// A datagram client is one run of the program: its input is the packet, then
// end of file, and its whole output is sent back as one packet of at most
// 65,507 bytes. Without output there is no answer.
//
// With Handler.Spare, a client gets a program that was started before it came,
// and is joined to it by pipes whatever the port speaks (pool.go). Such a program
// has none of the variables that tell of its client.
//
// # How it ends
//
// The client's end of file closes the program's input. When the program closes
// its output, the client gets everything written and then end of file; the
// program may go on. When the program exits, the client ends, even if it is
// still sending.
//
// Processes that the program leaves behind can delay the client's end by
// Handler.WaitDelay, as long as they keep open the program's output, so that
// more may come, or a standard error that goes to the log. (If the program had
// the socket itself, only the standard error counts; if that does not go to
// the log, the client ends with the program.) Then the client is closed
// anyway. Such processes are not killed: a background job may go on.
//
// When the client is gone (a reset, a limit of the server, the end of the
// context), the program's process group gets TERM, and KILL after
// Handler.KillGrace, or as soon as the program has ended and nobody has its
// standard error open any more. A client that only closes its connection looks
// like one that sends no more: the program reads end of file, and gets SIGPIPE
// when it writes.
//
// If the server is killed, Linux kills the programs too (but not their
// children, and not a program that changes its user by a set-user-ID bit).
//
// # Descriptors
//
// A program has descriptors 0, 1 and 2, never another client's. It inherits
// none of the descriptors that the server was started with if package daemon
// runs the server; otherwise it inherits those that are not close-on-exec.
//
// It is the leader of its own session and has no controlling terminal, so that
// it cannot type into the terminal from which the server was started, or one of
// its own: Handler.Terminal.
//
// # What it may use
//
// Handler.Limits, Timeout, Umask, User and Cgroup bound a program. The limits are
// in force before its first instruction: it is started with ptrace, stops at its
// exec, gets them by prlimit and is let go, all on the thread that has started
// it (internal/childproc/program/limits_linux.go). The server itself has them at
// no time, and a Go program that uses this package needs to do nothing for it.
//
// # Record
//
// The client's record gets pid, spare=true if the program had waited, exit (the
// status) or signal (its name), and what the program and those of its children
// that it has waited for have used: cpu_user and cpu_system, and max_rss, the
// memory of the largest of these processes in bytes. A program begins as a copy
// of the server, so that Linux counts the server's memory as well; max_rss is
// left out if it is not above the most that the server itself has had.
//
// socket=true says that the program had the socket itself; then the server
// does not see the bytes, and the idle limit does not apply. In and out are
// then the kernel's counters for TCP connections on Linux, and - elsewhere.
// Handler.Pipes avoids that. An exit with a nonzero status or by a signal is
// an *ExitError, and the client counts as failed.
//
// # Environment
//
// The program gets PATH, TZ, LANG, LANGUAGE, LC_*, HOME, USER, LOGNAME and
// SHELL from the server's environment, the variables of Handler.Env, and then,
// set for each client and never inherited:
//
//	PROTO                          TCP, SSL (any port with TLS), UNIX or UDP
//	TCPLOCALIP, TCPLOCALPORT       the server's address; on TLS ports SSLLOCALIP ... too;
//	                               on UDP ports UDPLOCALIP ... instead
//	TCPREMOTEIP, TCPREMOTEPORT     the client's address; likewise
//	TCPREMOTEHOST                  its name, if one was looked up
//	REMOTE_ADDR, REMOTE_PORT       the client's address, as systemd gives it
//	REMOTE_HOST                    the client's address again, as xinetd gives it
//	UNIXLOCALPATH                  the socket's path
//	UNIXREMOTEEUID, ...EGID, ...PID  who connected (Linux)
//	SSL_PROTOCOL, SSL_CIPHER       TLSv1.3, TLS_AES_128_GCM_SHA256
//	SSL_TLS_SNI                    the name the client asked for
//	SSL_SESSION_RESUMED            Initial or Resumed
//	SSL_CLIENT_VERIFY              NONE, SUCCESS, or GENEROUS: there is a certificate, but it was not verified
//	SSL_PEER_CERT_HASH             SHA256: and the certificate's hash in hex
//	SSL_CLIENT_S_DN, ..._S_DN_CN   its subject (these and the next only with SUCCESS)
//	SSL_CLIENT_I_DN, ..._I_DN_CN   its issuer
//	SSL_CLIENT_M_SERIAL, ..._M_VERSION, ..._V_START, ..._V_END
//	SSL_CLIENT_SAN_DNS_0, ...      its names, up to 16; SSL_CLIENT_SAN_Email_0, ... likewise
//	UCSPI_ID                       the client's number in the server's log
//
// IPv6 clients have PROTO=TCP as well, as with s6-networking; an IPv4 client
// of a dual-stack port has an IPv4 address. The SSL_ names are mod_ssl's, as
// with ucspi-ssl, and SSL_PEER_CERT_HASH is s6-tlsd's. Values from the client
// that are longer than 4 KiB or contain control characters are omitted.
//
// # Where to start
//
// Of this module it imports netserver, access, internal/childproc,
// internal/identity, logs and proto.
// Start reading at Handler (handler.go) and Handler.Serve (serve.go).
package exec
