package sock

import (
	"math"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const orCapability = " or CAP_NET_BIND_SERVICE"

// inheritTCP sets options on a listening socket that accepted ones inherit on
// Linux. Go would set keep-alive on each: four system calls, about 2 µs, for
// every connection.
func inheritTCP(fd uintptr, o Options) error {
	if err := setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, "TCP_NODELAY"); err != nil {
		return err
	}
	if o.SendTimeout > 0 {
		ms := int(min(o.SendTimeout.Milliseconds(), math.MaxInt32))
		if err := setOption(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms, "TCP_USER_TIMEOUT"); err != nil {
			return err
		}
	}
	ka := o.keepAlive()
	if !ka.Enable {
		return setOption(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0, "SO_KEEPALIVE")
	}
	for _, s := range []struct {
		level, option, value int
		name                 string
	}{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1, "SO_KEEPALIVE"},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(ka.Idle / time.Second), "TCP_KEEPIDLE"},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(ka.Interval / time.Second), "TCP_KEEPINTVL"},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, ka.Count, "TCP_KEEPCNT"},
	} {
		if err := setOption(fd, s.level, s.option, s.value, s.name); err != nil {
			return err
		}
	}
	return nil
}

// setFreebind lets the socket be bound to an address that is not there. It is
// for IPv6 sockets too (ip(7)); IPV6_FREEBIND is the same for them.
func setFreebind(fd uintptr) error {
	return setOption(fd, unix.SOL_IP, unix.IP_FREEBIND, 1, "IP_FREEBIND")
}

const hasFreebind = true

// acceptedKeepAlive is what package net sets on accepted connections: nothing,
// since they inherit it.
func acceptedKeepAlive(lc *net.ListenConfig, _ Options) { lc.KeepAlive = -1 }

// sendTimeout returns the SendTimeout in effect with o.
func sendTimeout(o Options) time.Duration { return max(o.SendTimeout, 0) }
