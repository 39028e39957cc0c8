//go:build unix

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"netserver/netservertest"
)

// What netserver init prints works as it is printed, but for the ports: the
// server starts with the conf file that it wrote, and the client gets its answer.
func TestInitAndTry(t *testing.T) {
	for job, c := range map[string]struct{ program, want string }{
		"front":   {"curl", "SERVER_SOFTWARE"},
		"program": {"nc", "Hello world"},
		"mutual":  {"openssl", `You said "hello"`},
		"web":     {"curl", "It works."},
	} {
		t.Run(job, func(t *testing.T) {
			netservertest.Peer(t, c.program)
			dir := openDir(t)
			cmd := exec.Command(binary, "init", job)
			cmd.Dir, cmd.Env = dir, environment()
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			ports := strings.NewReplacer("8443", netservertest.FreePort(t), "7000", netservertest.FreePort(t), "8080", netservertest.FreePort(t))
			file := filepath.Join(dir, "netserver.toml")
			conf, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(ports.Replace(string(conf))), 0o644); err != nil {
				t.Fatal(err)
			}
			if check := exec.Command(binary, "--check", "--conf_file", file); check.Run() != nil {
				t.Error("--check has something to say of the conf file")
			}
			var try string
			for line := range strings.Lines(string(out)) {
				line, ok := strings.CutPrefix(strings.TrimSpace(ports.Replace(line)), "netserver ")
				switch {
				case ok && strings.Contains(line, "--"):
					cmd := exec.Command(binary, strings.Fields(line)...)
					cmd.Dir, cmd.Env = dir, serverEnvironment()
					startCmd(t, cmd).awaitLog(`identity of the serving processes`)
				case strings.HasPrefix(line, c.program+" "), strings.Contains(line, " | "+c.program+" "):
					try = line
				}
			}
			client := exec.Command("sh", "-c", try)
			client.Dir, client.Env = dir, environment()
			if got, err := client.CombinedOutput(); err != nil || !strings.Contains(string(got), c.want) {
				t.Errorf("%s: %v\n%s", try, err, got)
			}
			if job != "mutual" {
				return
			}
			bare := exec.Command("sh", "-c", strings.Replace(try, "-cert dev-client.pem", "", 1))
			bare.Dir, bare.Env = dir, environment()
			if got, _ := bare.CombinedOutput(); strings.Contains(string(got), "You said") {
				t.Errorf("a client without a certificate is served: %s", got)
			}
		})
	}
}
