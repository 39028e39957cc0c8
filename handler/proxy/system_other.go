//go:build !linux

package proxy

import (
	"net"
	"net/netip"
	"time"
)

// directTo returns false: package net connects.
func directTo(address) (netip.AddrPort, bool) { return netip.AddrPort{}, false }

// thisMachine is not known here: what each machine has for itself is shared with
// none.
func thisMachine() machine { return machine{} }

func (*attempt) connect(uintptr) {}

// waitGone cannot detect here that a peer has left.
func waitGone(net.Conn, func() bool) bool { return false }

// hasClosed cannot tell that either.
func hasClosed(net.Conn, bool) bool { return false }

// isClosed is not supported here.
func isClosed(net.Conn) bool { return false }

// sentNoFIN is not supported here.
func sentNoFIN(net.Conn, int64) bool { return false }

// awaitSent is not supported here.
func awaitSent(net.Conn, time.Duration) {}
