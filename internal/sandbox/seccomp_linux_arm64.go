package sandbox

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	// foreignCalls is past all numbers that there are.
	foreignCalls = 0x40000000
)

// neverHere are further calls that this processor has.
var neverHere []uintptr
