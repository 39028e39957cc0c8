package pidfile

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

const openPidFlags = 0

// lockByte is far behind the number, which others may then read.
const lockByte = 1 << 20

func lockFile(f *os.File) error {
	o := windows.Overlapped{Offset: lockByte}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &o)
}

// lockHolder: locks keep others from the file here, whoever has them.
func lockHolder(*os.File, os.FileInfo) int { return heldByServer }

func isLocked(err error) bool { return errors.Is(err, windows.ERROR_LOCK_VIOLATION) }

func processRuns(pid int) bool {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return errors.Is(err, windows.ERROR_ACCESS_DENIED)
	}
	defer windows.CloseHandle(h)
	var code uint32
	return windows.GetExitCodeProcess(h, &code) == nil && code == 259 // still active
}

// removeOpen closes the file, which could not be removed otherwise.
func removeOpen(p *File) { p.release() }
