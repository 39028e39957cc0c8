//go:build unix

package logs

import (
	"os"
	"strconv"
	"syscall"
)

// fileID returns device and file number of f as JOURNAL_STREAM has them.
func fileID(f *os.File) (string, bool) {
	info, err := f.Stat()
	if err != nil {
		return "", false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	return strconv.FormatUint(uint64(st.Dev), 10) + ":" + strconv.FormatUint(uint64(st.Ino), 10), true
}
