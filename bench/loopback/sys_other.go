//go:build !linux

package loopback

import (
	"errors"
	"syscall"
	"time"
)

func control(_, _ string, _ syscall.RawConn) error { return nil }

// Nice sets the priority of this process where the system is Linux.
func Nice(int) error { return errors.ErrUnsupported }

// RealTime puts this process before others where the system is Linux.
func RealTime() error { return errors.ErrUnsupported }

// NiceSession sets the priority of this session where the system is Linux.
func NiceSession(int) (undo func(), err error) { return func() {}, errors.ErrUnsupported }

// A Clock wakes its goroutine at given times. It belongs to one goroutine.
type Clock struct{}

// NewClock returns a Clock. Release ends it.
func NewClock() Clock { return Clock{} }

// Release does nothing here.
func (Clock) Release() {}

// SleepUntil returns at t, or at once if t has passed.
func (Clock) SleepUntil(t time.Time) { time.Sleep(time.Until(t)) }
