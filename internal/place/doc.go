// Package place opens files for a process that may do more than those who can
// change the directories on the way to them.
//
// A link in a directory that somebody else may write to leads wherever that
// somebody likes: a server of root that opened its log file through it would
// append to any file on the machine. So the way is walked one directory after
// the other, each held open, and what others could have put there is not
// followed and not opened: links, files with a second name, files that are
// theirs. What only root and this process's user can change is used as it is.
//
// For root, every directory counts that another user owns or may write to. For
// anybody else those count alone in which everybody puts files, such as /tmp:
// who runs programs in a directory of others has chosen to trust them.
package place

// Options say what OpenFile does beyond the rule.
type Options struct {
	// Owner and Group are of a user whose files are as good as our own: who
	// serves the clients. In a directory of that user root makes the file
	// the user's own. 0 is none.
	Owner, Group int

	NoLink bool // refuses a link at the path's end, whoever made it
}
