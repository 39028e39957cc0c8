package proto

// Plain is implemented by a Transport whose Ready may return without waiting
// for the client. The engine then needs no handshake deadline and no goroutine
// for it.
type Plain interface {
	// Plain reports whether Ready never waits.
	Plain() bool
}

// A Waiter is a connection that can wait for input without a buffer to put it
// in, so that an idle client costs none.
type Waiter interface {
	// WaitRead returns nil when a Read would not wait, or may not; end of
	// file and errors are for that Read to tell. It returns an error when the
	// read deadline passes first. It must not be called while a Read runs.
	WaitRead() error
}
