// Package place safely opens files in directories that less privileged users
// can change.
//
// A link in a directory that others may write to can lead anywhere: a root
// server that opened its log file through it would append to any file on the
// machine. So the path is walked one directory at a time, each held open, and
// whatever others could have put there is neither followed nor opened: links,
// files with a second name, files that they own. What only root and this
// process's user can change is used as it is.
//
// For root, this applies to every directory that another user owns or may
// write to; for other users, only to directories where everybody puts files,
// such as /tmp: running a program in another user's directory means trusting
// that user.
//
// It imports nothing of this module. Start reading at OpenFile
// (place_unix.go); walk_unix.go walks the path.
package place

// Options modify OpenFile.
type Options struct {
	// Owner and Group are the user that serves the clients, whose files are
	// trusted like our own. In a directory of that user, root creates the file
	// with that owner. 0 is none.
	Owner, Group int

	NoLink bool // refuse a link at the path's end, whoever made it
}
