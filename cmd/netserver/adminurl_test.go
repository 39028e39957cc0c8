//go:build unix

package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The log says where the admin listener is, so that what it says can be asked.
func TestAdminListenerIsNamed(t *testing.T) {
	for _, supervisor := range []string{"1", "0"} {
		t.Run("supervisor "+supervisor, func(t *testing.T) {
			args := []string{"--port", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--supervisor", supervisor}
			if supervisor == "0" && os.Geteuid() == 0 {
				args = append(args, "--user", "root")
			}
			s := start(t, args...)
			url := s.awaitLog(`admin listener: (http://127\.0\.0\.1:\d+/)`)[1]
			client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
			resp, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(b), "<html") {
				t.Errorf("%d, %v: %.200q", resp.StatusCode, err, b)
			}
		})
	}
}

// --check has the admin listener among the services and not among the ports.
func TestCheckNamesTheAdminListener(t *testing.T) {
	cmd := exec.Command(binary, "--check", "--port", "127.0.0.1:9301", "--admin", "/run/netserver/admin.sock")
	cmd.Env = environment()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Listeners []map[string]string
		Services  []struct{ Port, Handler, URL string }
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if n := len(got.Listeners); n != 1 || len(got.Listeners[0]) != 4 || len(got.Services) != 2 || got.Services[0].Handler != "echo" {
		t.Fatalf("%s", out)
	}
	if s := got.Services[1]; s.Handler != "admin" || s.URL != "curl --unix-socket /run/netserver/admin.sock http://localhost/" {
		t.Errorf("%+v", s)
	}
}
