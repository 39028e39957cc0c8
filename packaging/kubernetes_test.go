//go:build linux

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"netserver/netservertest"
)

// The manifest's fields are checked in packaging/release, whose modules can read
// YAML; so are the parts of it that need no source tree.
func TestModuleOfReleases(t *testing.T) {
	releaseDir(t) // or skip
	cmd := exec.Command("go", "test", "./...")
	cmd.Dir = "release"
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// manifestConf is the conf file of the manifest.
func manifestConf(t *testing.T, manifest string) string {
	t.Helper()
	_, rest, ok := strings.Cut(manifest, "\n  server.conf: |\n")
	rest, _, ended := strings.Cut(rest, "\n---\n")
	if !ok || !ended {
		t.Fatal("no server.conf in the manifest")
	}
	return strings.ReplaceAll("\n"+rest+"\n", "\n    ", "\n")
}

// manifestCommand is the command below a name.
func manifestCommand(t *testing.T, manifest, name string) (argv []string) {
	t.Helper()
	m := regexp.MustCompile(`(?s)\n +` + name + `:\n.*?command: (\[.*?\])`).FindStringSubmatch(manifest)
	if m == nil || json.Unmarshal([]byte(m[1]), &argv) != nil {
		t.Fatalf("no command of %s: %q", name, m)
	}
	return argv
}

// What the manifest runs, runs as in the pod: as its user, with the image's
// directories. Its probes tell when it serves, and preStop waits for a client.
func TestKubernetesPod(t *testing.T) {
	b, err := os.ReadFile("kubernetes/netserver.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest, m, addr := string(b), newMachine(t), "127.0.0.1:"+netservertest.FreePort(t)
	p := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	m.copyIn(t, command(t), "/netserver")
	m.copyIn(t, p.CertFile, "/run/tls.crt")
	m.copyIn(t, p.KeyFile, "/run/tls.key")
	m.run(t, "sh", "-c", "chmod 755 /netserver && mkdir -p /etc/netserver/tls && mv /run/tls.* /etc/netserver/tls && chgrp 65532 /etc/netserver/tls/* && chmod 440 /etc/netserver/tls/*")
	conf := manifestConf(t, manifest)
	backend := "127.0.0.1:" + netservertest.FreePort(t) // nobody's
	file := t.TempDir() + "/server.conf"
	changed := strings.NewReplacer("port = 8443/ssl", "port = "+addr+"/ssl", "backend:8080", backend).Replace(conf)
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	m.copyIn(t, file, "/etc/netserver/server.conf")
	as := func(argv []string) (string, error) {
		return m.try(append([]string{"setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--bounding-set=-all", "--no-new-privs"}, argv...)...)
	}
	probe := manifestCommand(t, manifest, "readinessProbe")
	if out, err := as(probe); err == nil {
		t.Errorf("ready before it runs: %s", out)
	}
	ended := make(chan string, 1)
	go func() {
		out, err := as([]string{"/netserver", "--conf_file", "/etc/netserver/server.conf"})
		if err != nil {
			out += err.Error()
		}
		ended <- out
	}()
	netservertest.Eventually(t, "readiness", func() bool {
		select {
		case out := <-ended:
			t.Fatalf("it ended: %s", out)
		default:
		}
		_, err := as(probe)
		return err == nil
	})
	if out, err := as(manifestCommand(t, manifest, "preStop")); err != nil {
		t.Errorf("preStop: %v\n%s", err, out)
	}
	if out := <-ended; !strings.Contains(out, "Server closing!") {
		t.Errorf("it ended: %s", out)
	}
}
