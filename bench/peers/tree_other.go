//go:build !linux

package peers

import (
	"errors"
	"os/exec"
	"time"
)

func endWithUs(*exec.Cmd) {}

// Apart does nothing here.
func Apart(*exec.Cmd) {}

type stat struct{ pid int }

func tree(root int) ([]stat, error) { return []stat{{root}}, nil }

func usage(int) (Usage, error) { return Usage{}, errors.ErrUnsupported }

func share(int) int64 { return 0 }

func same(all []stat) []int { return nil }

// CPU returns the CPU time that a process alone has used.
func CPU(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

// Busy returns the CPU time that all processes of the machine have used.
func Busy() (time.Duration, error) { return 0, errors.ErrUnsupported }

func descriptors(int) int { return 0 }
