package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"netserver/bench/child"
	"netserver/bench/flood"
	"netserver/bench/honest"
	"netserver/bench/loopback"
)

// roleEnv holds the role of a process that this program has started of
// itself: a server, the load or the attack. Each is a process of its own, so
// that the CPU and memory of one can be told from the others'.
const roleEnv = "ATTACK_ROLE"

// A role is what such a process is to do; one field is set.
type role struct {
	Server *serverRole     `json:",omitempty"`
	Load   *honest.Options `json:",omitempty"`
	Flood  *flood.Options  `json:",omitempty"`
	Nice   int             `json:",omitempty"` // the process's priority; one that is not allowed is left
}

// command returns what starts a process in the role.
func (r role) command() (*exec.Cmd, error) {
	return child.Command(roleEnv, r)
}

// playRole plays the role that the environment names until it is done or the
// process is told to end. It reports whether there was one.
func playRole() (played bool, err error) {
	var r role
	if played, err := child.Role(roleEnv, &r); !played || err != nil {
		return played, err
	}
	// The load uses little, and its lag would look like the server's.
	if r.Load == nil || loopback.RealTime() != nil {
		loopback.Nice(r.Nice)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var result any
	switch {
	case r.Server != nil:
		return true, r.Server.serve(ctx)
	case r.Load != nil:
		result, err = honest.Run(ctx, *r.Load)
	case r.Flood != nil:
		result, err = flood.Run(ctx, *r.Flood)
	}
	if err != nil {
		return true, err
	}
	return true, child.Tell(result)
}
