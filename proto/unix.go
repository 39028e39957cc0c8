package proto

import (
	"fmt"
	"strconv"
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
	dgram, err := isDgram(p, false)
	if err != nil {
		return nil, err
	}
	if dgram {
		return newPlain(p, "unixgram", keyUnixType)
	}
	return newPlain(p, "unix", keyUnixType)
}

// UNIXDgram is the Protocol of a unixdgram port, where each datagram is a
// client. Its parameters are unix_mode, unix_owner, unix_group and
// udp_recv_len.
func UNIXDgram(p port.Spec) (Transport, error) {
	dgram, err := isDgram(p, true)
	if err != nil {
		return nil, err
	}
	if !dgram {
		return nil, &ParamError{Spec: p, Problems: []string{
			fmt.Sprintf("port %s: %s is a stream, but the port is for datagrams: write /unix", name(p), keyUnixType),
		}}
	}
	return newPlain(p, "unixgram", keyUnixType)
}

// isDgram reads unix_type: SOCK_STREAM or SOCK_DGRAM in any case, or the
// system's number. It returns unset if p does not have it.
func isDgram(p port.Spec, unset bool) (bool, error) {
	vals := p.Params[keyUnixType]
	if len(vals) == 0 {
		return unset, nil
	}
	last := vals[len(vals)-1]
	switch strings.ToUpper(strings.TrimSpace(last.Text)) {
	case "SOCK_DGRAM", strconv.Itoa(syscall.SOCK_DGRAM):
		return true, nil
	case "SOCK_STREAM", strconv.Itoa(syscall.SOCK_STREAM):
		return false, nil
	}
	return false, &ParamError{Spec: p, Problems: []string{
		fmt.Sprintf("port %s: %s: %q is not SOCK_STREAM or SOCK_DGRAM (%s)", name(p), keyUnixType, last.Text, last.Origin),
	}}
}
