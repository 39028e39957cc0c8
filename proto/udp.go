package proto

import "netserver/port"

// UDP is the Protocol of a udp port, where each datagram is a client. Its
// parameters are reuse_port, freebind, udp_recv_len and udp_broadcast.
func UDP(p port.Spec) (Transport, error) { return newPlain(p, "udp") }
