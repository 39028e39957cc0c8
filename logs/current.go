package logs

import "os"

// Current returns the open file, to hand to another process. It is valid until
// the next Reopen or Close; nil after Close.
func (l *File) Current() *os.File { return l.f.Load() }
