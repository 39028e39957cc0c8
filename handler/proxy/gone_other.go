//go:build !linux

package proxy

import (
	"net"
	"time"
)

// waitGone cannot tell here that a peer has left.
func waitGone(net.Conn, func() bool) bool { return false }

// isClosed cannot tell here.
func isClosed(net.Conn) bool { return false }

// sentNoFIN cannot tell here.
func sentNoFIN(net.Conn, int64) bool { return false }

// awaitSent cannot tell here.
func awaitSent(net.Conn, time.Duration) {}
