//go:build !unix

package childproc

import "os/exec"

// CanSpawn reports whether processes with a Link can be started here.
const CanSpawn = false

func ownSession(*exec.Cmd) {}
