//go:build unix

package dirstore

import (
	"io/fs"
	"os"
	"syscall"
)

// trusted reports whether a file belongs to this process's user or to root.
func trusted(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid())
}
