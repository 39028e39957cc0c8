package proto

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"netserver/port"
)

// keyUnixType is the old way to ask for a datagram socket.
const keyUnixType = "unix_type"

// UNIX is the Protocol of a unix port: a stream socket, or with the parameter
// unix_type=SOCK_DGRAM a datagram socket. Its other parameters are unix_mode,
// unix_owner and unix_group, and listen or udp_recv_len.
func UNIX(p port.Spec) (Transport, error) {
	network := "unix"
	if vals := p.Params[keyUnixType]; len(vals) > 0 {
		last := vals[len(vals)-1]
		dgram, err := isDgram(last.Text)
		if err != nil {
			return nil, fmt.Errorf("port %s: %s: %q %w (%s)", name(p), keyUnixType, last.Text, err, last.Origin)
		}
		if dgram {
			network = "unixgram"
		}
	}
	return newPlain(p, network, keyUnixType)
}

// UNIXDgram is the Protocol of a unixdgram port, where each datagram is a
// client. Its parameters are unix_mode, unix_owner, unix_group and
// udp_recv_len.
func UNIXDgram(p port.Spec) (Transport, error) { return newPlain(p, "unixgram") }

// isDgram reads unix_type: SOCK_STREAM or SOCK_DGRAM in any case, or the
// system's number.
func isDgram(s string) (bool, error) {
	switch s = strings.ToUpper(strings.TrimSpace(s)); s {
	case "SOCK_DGRAM", fmt.Sprint(syscall.SOCK_DGRAM):
		return true, nil
	case "SOCK_STREAM", fmt.Sprint(syscall.SOCK_STREAM):
		return false, nil
	}
	return false, errors.New("is not a type of UNIX socket: must be SOCK_STREAM or SOCK_DGRAM")
}
