//go:build unix

package exec

import "golang.org/x/sys/unix"

// A fileID tells a file from another one that has taken its place, and from
// itself with other contents. Its zero value is that of no file.
type fileID struct {
	device, inode uint64
	size          int64
	modified      unix.Timespec
}

func fileOf(path string) fileID {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return fileID{}
	}
	return fileID{device: uint64(st.Dev), inode: st.Ino, size: st.Size, modified: st.Mtim}
}
