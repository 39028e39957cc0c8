package proto

import "netserver/port"

// TCP is the Protocol of a plain tcp port. Its parameters are listen,
// reuse_port, freebind and tcp_keepalive.
func TCP(p port.Spec) (Transport, error) { return newPlain(p, "tcp") }
