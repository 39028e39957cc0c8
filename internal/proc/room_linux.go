package proc

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// Tasks returns how many processes and threads a user has, which is what the
// system compares with the limit nproc.
func Tasks(uid int) (n int, ok bool) {
	list, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil || len(list) == 0 {
		return 0, false
	}
	want := []byte(strconv.Itoa(uid))
	for _, name := range list {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		if f := bytes.Fields(statusLine(b, "Uid:")); len(f) == 0 || !bytes.Equal(f[0], want) {
			continue
		}
		threads, _ := strconv.Atoi(string(bytes.TrimSpace(statusLine(b, "Threads:"))))
		n += threads
	}
	return n, true
}

func statusLine(b []byte, key string) []byte {
	_, rest, ok := bytes.Cut(b, []byte("\n"+key))
	if !ok {
		return nil
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return line
}

// AddressSpace returns how many bytes of addresses this process has reserved,
// which is what the system compares with the limit as.
func AddressSpace() (n int64, ok bool) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	f := bytes.Fields(b)
	if len(f) == 0 {
		return 0, false
	}
	pages, err := strconv.ParseInt(string(f[0]), 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}
