package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"
)

// Options are the options of a socket. The zero value means the stated
// defaults.
type Options struct {
	// Backlog is the accept queue of a stream socket, in connections. 0 means
	// the system's maximum (SOMAXCONN), which also caps larger values. Key:
	// listen.
	Backlog int

	// ReusePort sets SO_REUSEPORT: several sockets, including those of other
	// processes of the same user, share the port. Key: reuse_port.
	ReusePort bool

	// Freebind opens a port at an address that no interface has (yet), as on the
	// standby of a pair of machines (IP_FREEBIND; see ip(7)). Only Linux has
	// it. Key: freebind.
	Freebind bool

	// UnixMode is the permission of a UNIX socket's file, set before the first
	// client can connect. 0 leaves it to the umask. Key: unix_mode, in octal.
	UnixMode fs.FileMode

	// UnixOwner and UnixGroup are the names or numbers of the user and the
	// group that own a UNIX socket's file. "" leaves them as the system sets
	// them. Keys: unix_owner, unix_group.
	UnixOwner, UnixGroup string

	// UDPRecvLen is the longest datagram served, udp or unixgram, in bytes.
	// Longer ones are counted and reported (see DatagramListener), not
	// truncated. 0 means 4096; the maximum is 65535. Key: udp_recv_len.
	UDPRecvLen int

	// UDPBroadcast lets a UDP socket send to broadcast addresses.
	// Key: udp_broadcast.
	UDPBroadcast bool

	// KeepAlive is how long an accepted TCP connection may be idle before the
	// kernel probes it (then 9 times, 15 s apart; where SendTimeout is set,
	// Linux gives up after that long without an answer, see tcp(7)). 0 means
	// 15 s; negative means no probes. Key: tcp_keepalive, in seconds or as
	// 1m30s; none.
	KeepAlive time.Duration

	// SendTimeout ends an accepted TCP connection whose peer acknowledges no
	// data for that long while some is waiting for it (TCP_USER_TIMEOUT; see
	// tcp(7)). Writes then fail with ETIMEDOUT. 0 or less is no limit. Only
	// Linux has it; see StreamListener.SendTimeout. It has no key: the engine
	// sets it.
	SendTimeout time.Duration
}

const (
	defaultUDPRecvLen = 4096
	maxUDPRecvLen     = 65535

	defaultKeepAlive = 15 * time.Second
	maxKeepAlive     = 32767 * time.Second // the kernel's own limit
	keepAliveGap     = 15 * time.Second
	keepAliveCount   = 9

	// askBacklog is the backlog requested for 0. Every supported system caps
	// it.
	askBacklog = 65535
)

func (o Options) udpRecvLen() int {
	if o.UDPRecvLen == 0 {
		return defaultUDPRecvLen
	}
	return o.UDPRecvLen
}

// EffectiveBacklog returns the backlog that a port is opened with: Backlog, or
// for 0 more than any system allows, which is then the most that this one does.
func (o Options) EffectiveBacklog() int {
	if o.Backlog == 0 {
		return askBacklog
	}
	return o.Backlog
}

// keepAlive returns the keep-alive settings of accepted connections, which
// are Go's own where KeepAlive is 0.
func (o Options) keepAlive() net.KeepAliveConfig {
	if o.KeepAlive < 0 {
		return net.KeepAliveConfig{}
	}
	idle := o.KeepAlive
	if idle == 0 {
		idle = defaultKeepAlive
	}
	idle = (idle + time.Second - 1).Truncate(time.Second) // the kernel counts seconds
	return net.KeepAliveConfig{Enable: true, Idle: idle, Interval: keepAliveGap, Count: keepAliveCount}
}

// check reports invalid values, and those that this system does not support.
func (o Options) check() error {
	var errs []error
	if o.Backlog < 0 {
		errs = append(errs, fmt.Errorf("listen: %d is below 0", o.Backlog))
	}
	if o.UDPRecvLen < 0 || o.UDPRecvLen > maxUDPRecvLen {
		errs = append(errs, fmt.Errorf("udp_recv_len: %d is not between 1 and %d", o.UDPRecvLen, maxUDPRecvLen))
	}
	if o.UnixMode&^fs.ModePerm != 0 {
		errs = append(errs, fmt.Errorf("unix_mode: %#o is not between 0001 and 0777", uint32(o.UnixMode)))
	}
	if o.KeepAlive > maxKeepAlive {
		errs = append(errs, fmt.Errorf("tcp_keepalive: %v is above %v", o.KeepAlive, maxKeepAlive))
	}
	if o.Freebind && !hasFreebind {
		errs = append(errs, errors.New("freebind: only possible on Linux"))
	}
	errs = append(errs, o.unsupported())
	return errors.Join(errs...)
}
