package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

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
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleEnv+"="+string(b))
	return cmd, nil
}

// playRole plays the role that the environment names until it is done or the
// process is told to end. It reports whether there was one.
func playRole() (played bool, err error) {
	text, ok := os.LookupEnv(roleEnv)
	if !ok {
		return false, nil
	}
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return true, fmt.Errorf("%s: %w", roleEnv, err)
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
	return true, json.NewEncoder(os.Stdout).Encode(result)
}
