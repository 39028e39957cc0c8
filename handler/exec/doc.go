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
// descriptors 0 and 1, so that getpeername works and no byte passes through the
// server. Every other stream client (TLS, or a plain one of which bytes have
// been read already) is joined by two pipes. Pipes rather than a socketpair:
// each direction then ends on its own when a program closes one descriptor, and
// /dev/stdin and /dev/stdout can be opened; a socketpair moved twice as much in
// a second, but either is faster than TLS.
//
// A datagram client is one run of the program: the packet, then end of file, is
// its input, and all that it writes goes back as one packet, at most 65,507
// bytes. A program that writes nothing answers nothing.
//
// # How it ends
//
// The client's end of file closes the program's input. When the program closes
// its output, the client gets all that was written and then the end; the
// program may go on. When the program exits, the client is done, whether it
// still sends or not.
//
// What the program leaves running may hold the client for Handler.WaitDelay:
// while it has the program's output open, so that more can come, or a standard
// error that goes to the log. (Where the program had the socket itself, only
// the standard error tells; if that does not go to the log, the client ends
// with the program.) Then the client is closed all the same. Such leftovers are
// not killed: a job that was put into the background may go on.
//
// When the client goes away (a reset, a limit of the server, the end of the
// context) the program's process group gets TERM, and KILL after
// Handler.KillGrace, or as soon as the program has ended and nobody has its
// standard error any more. A client that only closes its connection looks like one
// that will send no more: the program reads end of file, and is ended by
// SIGPIPE when it writes.
//
// If the server is killed, Linux kills the programs too (but not their
// children, and not a program that changes its user by a set-user-ID bit).
//
// # Descriptors
//
// A program has descriptors 0, 1 and 2; never another client's. Of those that
// the server itself was started with it has none in a program of package
// daemon, and elsewhere those that are not close-on-exec.
//
// It is the leader of a session of its own and has no controlling terminal, so
// that it cannot type into the one from which the server was started.
//
// # Record
//
// The client's record gets pid, and exit (the status) or signal (its name).
// socket=true says that the program had the socket itself; then the server
// does not see the bytes, and the idle limit has no hold. In and out are then
// what the kernel says of a TCP connection on Linux, and - elsewhere.
// Handler.Pipes avoids that. An exit with a status other than 0, or by a
// signal, is an *ExitError, and makes the client a failed one.
//
// # Environment
//
// The program gets PATH, TZ, LANG, LANGUAGE, LC_*, HOME, USER, LOGNAME and
// SHELL of the server's environment, what Handler.Env names or sets, and then,
// set for each client and never passed on:
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
// IPv6 clients have PROTO=TCP as well, as with s6-networking; an IPv4 client of
// a dual-stack port has an IPv4 address. The SSL_ names are mod_ssl's, as with
// ucspi-ssl, and SSL_PEER_CERT_HASH is s6-tlsd's. A value from the client that
// is longer than 4 KiB or has control characters in it is left out.
package exec
