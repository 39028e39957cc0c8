package childproc

import (
	"os"
)

// An Orphan is a process whose parent ended, and whose parent this process has
// become by that: because it is process 1, or by AdoptOrphans.
type Orphan struct {
	Pid   int
	Dead  bool  // it has ended, and nobody has waited for it
	Began int64 // when it was started, in the system's own count: a number is used again
}

// TakeOrphans has this process reap orphans until done is closed, and be the
// parent of those of its descendants if it may. The error says that it may not.
func TakeOrphans(done <-chan struct{}) error {
	err := AdoptOrphans()
	if err == nil || os.Getpid() == 1 {
		go ReapOrphans(done)
	}
	return err
}
