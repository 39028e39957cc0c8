//go:build !linux

package daemon

// canNoNewPrivs tells that the system can keep programs from gaining rights.
const canNoNewPrivs = false
