package identity

// FileRights are what the owners and modes of files let a user do. A
// supervisor of root finds out so what its workers will be able to reach.
type FileRights struct {
	UID    int
	Groups []int
	Root   string // directory that paths begin at; "" is the system's root
}

// What a user may want to do with a file.
const (
	WantRead    = 4
	WantWrite   = 2
	WantExecute = 1 // or to search a directory
)
