package proc

// An Orphan is a process whose parent ended, and whose parent this process has
// become by that: because it is process 1, or by AdoptOrphans.
type Orphan struct {
	Pid   int
	Dead  bool  // it has ended, and nobody has waited for it
	Began int64 // when it was started, in the system's own count: a number is used again
}
