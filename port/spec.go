package port

import "netserver/conf"

// A Spec is one port to listen on. The zero Spec is not usable; Parse and
// Resolve make usable ones.
type Spec struct {
	Host   string      // name or address without brackets, or "*"; unused for socket paths
	Port   string      // number, service name, or socket path
	Proto  string      // as written: tcp, udp, ssl, unix, unixdgram, or the name of a registered protocol
	IPv    string      // "4", "6" or "*"
	Params conf.Values // keys given for this port alone: listen, udp_recv_len, SSL_...
}
