//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package port

// maxPath is how many bytes of a socket path the system's addresses hold,
// without the zero at the end.
const maxPath = 103
