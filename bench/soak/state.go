package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"netserver/bench/peers"
)

// A state is what all processes of a server hold together.
type state struct {
	memory      int64 // bytes: of pages that processes share, each one's share
	descriptors int
	goroutines  int // of the processes that serve
}

// String is for people.
func (s state) String() string {
	return fmt.Sprintf("%.1f MiB, %d descriptors, %d goroutines", float64(s.memory)/(1<<20), s.descriptors, s.goroutines)
}

// few is how many more descriptors and goroutines there may be: pools keep some of
// what was needed at one moment. What a client in a thousand left behind would be a
// hundred times as many.
const few = 8

// within reports whether s is no more than limit, but for a few, and some MiB of
// memory.
func (s state) within(limit state, slack int) bool {
	return s.memory <= limit.memory+int64(slack)<<20 && s.descriptors <= limit.descriptors+few && s.goroutines <= limit.goroutines+few
}

// same reports whether two looks have found the same, but for what memory does by
// itself.
func (s state) same(other state) bool {
	const near = 1 << 19
	d := s.memory - other.memory
	return d <= near && -d <= near && s.descriptors == other.descriptors && s.goroutines == other.goroutines
}

// program returns what starts the server, apart from this process.
func program(binary string, configuration string) *exec.Cmd {
	cmd := exec.Command(binary, "--conf_file", configuration)
	peers.Apart(cmd)
	return cmd
}

// look returns what the server holds now.
func look(ctx context.Context, s *peers.Process, binary, socket string) (now state, err error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, "ctl", "--control_socket", socket, "metrics")
	cmd.Stderr = &said
	text, err := cmd.Output()
	if err != nil {
		return now, fmt.Errorf("netserver ctl metrics: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	if now.goroutines, err = goroutines(string(text)); err != nil {
		return now, err
	}
	if now.descriptors, err = s.Descriptors(); err != nil {
		return now, err
	}
	now.memory, err = s.Share()
	return now, err
}

// goroutines adds up what the metrics tell of them.
func goroutines(metrics string) (sum int, err error) {
	const family = "netserver_goroutines"
	found := false
	for line := range strings.Lines(metrics) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if name, _, _ := strings.Cut(name, "{"); !ok || name != family {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("%s is %q", family, value)
		}
		sum, found = sum+n, true
	}
	if !found {
		return 0, fmt.Errorf("the metrics have no %s", family)
	}
	return sum, nil
}
