package netserver_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"netserver"
	"netserver/conf"
	"netserver/netservertest"
	"netserver/outcome"
)

// A ban ends a client that is parked, and no other.
func TestChangedRulesCutTheParked(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 is no address of every system")
	}
	for _, kind := range []string{"tcp", "ssl"} {
		path := filepath.Join(t.TempDir(), "rules")
		writeRules(t, path, "# nobody\n")
		s := &netserver.Server{Handler: new(parker)}
		s.Config.Access.Set("allow", []conf.Value{{Text: ".*"}})
		s.Config.Access.Set("cidr_deny_file", []conf.Value{{Text: path}})
		r := netservertest.Start(t, s, kind)
		bad, err := dialAs(t, r, kind, "127.0.0.2")
		if err != nil {
			t.Fatal(err)
		}
		good, err := dialAs(t, r, kind, "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		writeRules(t, path, "127.0.0.2\n")
		if rec := r.Records(t, 1)[0]; rec.Outcome != outcome.Denied || !errors.Is(rec.Err, netserver.ErrDenied) {
			t.Errorf("%s: %v, %v", kind, rec.Outcome, rec.Err)
		}
		if n, err := bad.Read(make([]byte, 1)); err == nil || n > 0 {
			t.Errorf("%s: still served", kind)
		}
		if err := echoOnce(good); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
