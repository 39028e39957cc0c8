//go:build !linux

package sock

import (
	"errors"
	"net"
	"time"
)

const orCapability = ""

// inheritTCP sets on a listening socket what accepted ones inherit. What they
// do is not certain outside Linux, so it sets nothing: package net sets the
// options on each accepted connection.
func inheritTCP(fd uintptr, o Options) error { return nil }

// acceptedKeepAlive tells package net what to set on accepted connections.
func acceptedKeepAlive(lc *net.ListenConfig, o Options) {
	lc.KeepAlive = -1
	lc.KeepAliveConfig = o.keepAlive()
}

// deferAccept tells that it cannot be had here.
func deferAccept(streamSocket, time.Duration) error { return errors.ErrUnsupported }

// sendTimeout returns the SendTimeout that is in force: none here.
func sendTimeout(Options) time.Duration { return 0 }
