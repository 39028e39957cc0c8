//go:build !linux

package childproc

import "errors"

// AdoptOrphans is something that only Linux has.
func AdoptOrphans() error { return errors.ErrUnsupported }

// Orphans returns none: the system's own process 1 has them.
func Orphans() []Orphan { return nil }

// Kill ends it at once.
func (Orphan) Kill() {}

// ReapOrphans has nothing to do.
func ReapOrphans(<-chan struct{}) {}
