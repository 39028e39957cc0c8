package proto

// A Waiter is a connection that can wait for input without a buffer to put it
// in, so that an idle client costs none.
type Waiter interface {
	// WaitRead returns nil when a Read would not wait, or may not; end of
	// file and errors are for that Read to tell. It returns an error when the
	// read deadline passes first. It must not be called while a Read runs.
	WaitRead() error
}
