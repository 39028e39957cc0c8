//go:build !linux

package main

import (
	"errors"
	"syscall"
)

func endWithUs() *syscall.SysProcAttr { return nil }

func needs() error { return errors.New("it needs Linux") }

// A state is what a process holds. Memory is in KiB.
type state struct {
	rss, anon, pss, peak int
	descriptors, threads int
}

func stateOf(int) (state, error) { return state{}, errors.ErrUnsupported }

func children(int) []int { return nil }

func alive(int) bool { return false }
