//go:build !(darwin || dragonfly || freebsd || netbsd || openbsd)

package port

// maxPath is the longest socket path of the system in bytes, without the final
// zero.
const maxPath = 107
