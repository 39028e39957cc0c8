package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"netserver/conf"
	"netserver/daemon/internal/wire"
)

// Workers cannot read what only the supervisor opens, nor what lies beside it.
func TestSupervisorsFilesAreNotWorkers(t *testing.T) {
	logs, rules := t.TempDir(), t.TempDir()
	v := conf.Values{}
	for key, path := range map[string]string{
		"log_file": filepath.Join(logs, "log"), "pid_file": filepath.Join(logs, "pid"),
		"control_socket": filepath.Join(logs, "ctl"), "acme_storage": filepath.Join(logs, "acme"),
		"acme_ca_file": filepath.Join(logs, "roots"), "acme_eab_key_file": filepath.Join(logs, "eab"), "deny_file": filepath.Join(rules, "deny"),
	} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		v.Set(key, path)
	}
	got := fmt.Sprint(plannedPaths(&wire.Plan{Values: v}))
	if want := fmt.Sprint([]string{rules, filepath.Join(rules, "deny")}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
