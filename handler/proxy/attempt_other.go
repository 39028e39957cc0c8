//go:build !linux

package proxy

import "net/netip"

// directTo returns false: package net connects.
func directTo(address) (netip.AddrPort, bool) { return netip.AddrPort{}, false }

func (*attempt) connect(uintptr) {}
