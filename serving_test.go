package netserver_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"netserver"
	"netserver/conf"
	"netserver/internal/bridge"
	"netserver/netservertest"
)

// A worker says that it is ready when its rules have been read: who changes
// the files after that word sees the change take effect.
func TestOnServingComesAfterTheRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules")
	writeRules(t, path, "192.0.2.1\n")
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Access.Set("cidr_deny_file", []conf.Value{{Text: path}})
	bridge.Of(s.Monitor()).OnServing(func() { writeRules(t, path, "192.0.2.2\n") })
	r := netservertest.Start(t, s, "tcp")
	netservertest.Eventually(t, "the new rules", func() bool { return strings.Contains(r.Log(), "the new rules are in force") })
}

// A Serve that fails never says that it serves.
func TestOnServingOfServeThatFails(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(echoLines)}
	s.Config.Access.Set("cidr_deny_file", []conf.Value{{Text: filepath.Join(t.TempDir(), "missing")}})
	bridge.Of(s.Monitor()).OnServing(func() { t.Error("said to serve") })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(context.Background(), l); err == nil {
		t.Error("served with rules that cannot be read")
	}
}
