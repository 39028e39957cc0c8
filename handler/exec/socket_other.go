//go:build !unix

package exec

import "context"

// wholeSocket returns nil: a program cannot get the client's socket here.
func (s *session) wholeSocket() stream { return nil }

func (s *session) serveSocket(context.Context, stream) error { panic("there is no whole socket") }

func (s *session) watch(stream) {}

func isReset(stream) bool { return false }
