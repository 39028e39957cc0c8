//go:build !linux

package sock

import (
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

// deferred returns the DeferAccept that is in force: none here.
func deferred(streamSocket, Options) time.Duration { return 0 }

// sendTimeout returns the SendTimeout that is in force: none here.
func sendTimeout(Options) time.Duration { return 0 }
