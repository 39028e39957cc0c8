//go:build !linux

package sock

import (
	"errors"
	"net"
	"time"
)

const orCapability = ""

// inheritTCP sets nothing: which options accepted connections inherit is not
// certain outside Linux, so package net sets them on each.
func inheritTCP(fd uintptr, o Options) error { return nil }

// acceptedKeepAlive is what package net sets on accepted connections.
func acceptedKeepAlive(lc *net.ListenConfig, o Options) {
	lc.KeepAlive = -1
	lc.KeepAliveConfig = o.keepAlive()
}

// setFreebind is not supported here.
func setFreebind(uintptr) error { return errors.ErrUnsupported }

const hasFreebind = false

// deferAccept is not supported here.
func deferAccept(streamSocket, time.Duration) error { return errors.ErrUnsupported }

// sendTimeout returns the SendTimeout in effect: none here.
func sendTimeout(Options) time.Duration { return 0 }
