//go:build unix

package exec_test

import (
	"fmt"
	"strings"
	"testing"

	"netserver/conf"
	"netserver/handler/exec"
)

func TestKeys(t *testing.T) {
	for args, want := range map[string]string{
		"": "log 5s 5s  false",
		"--exec_stderr=client --exec_kill_after=2 --exec_wait_after=0.5 --exec_dir=/tmp --exec_pipes": "client 2s 500ms /tmp true",
		"--exec_kill_after=none --exec_wait_after=none":                                               "log -1ns -1ns  false",
		"--exec_kill_after=10":  "error exec_kill_after",
		"--exec_stderr=nowhere": "error exec_stderr",
	} {
		var s conf.Set
		var h exec.Handler
		h.Define(&s)
		read := s.ReadArgs(strings.Fields(args))
		_, err := s.Resolve(read.Layer)
		got := fmt.Sprint(h.Stderr, " ", h.KillGrace, " ", h.WaitDelay, " ", h.Dir, " ", h.Pipes)
		if err != nil {
			got = "error " + err.Error()
		}
		if got != want && !(err != nil && strings.HasPrefix(want, "error") && strings.Contains(got, want[6:])) {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}
