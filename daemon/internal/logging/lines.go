package logging

import (
	"bufio"
	"io"
)

// eachLine calls f with the lines of r, at most max bytes of each; f may append
// to what it gets. The last line may have no end.
func eachLine(r io.Reader, max int, f func(line []byte, cut bool)) {
	b := bufio.NewReaderSize(r, 8<<10)
	var line []byte
	for {
		part, err := b.ReadSlice('\n')
		cut := len(line)+len(part) > max+1
		line = append(line, part[:min(len(part), max+1-len(line))]...)
		if err == bufio.ErrBufferFull {
			continue
		}
		cut = cut || err != nil && len(line) > max
		if n := len(line); err == nil && !cut {
			line = line[:n-1]
		} else if cut {
			line = line[:max]
		}
		if err == nil || len(line) > 0 {
			f(line, cut)
		}
		if err != nil {
			return
		}
		if cap(line) > 16<<10 {
			line = nil
		}
		line = line[:0]
	}
}
