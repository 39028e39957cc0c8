package conf

import (
	"errors"
	"strings"
	"testing"
)

// A pod in a namespace with services netserver and netserver-smtp has these.
func TestServiceLinks(t *testing.T) {
	env := []string{
		"NETSERVER_SERVICE_HOST=10.96.0.1", "NETSERVER_SERVICE_PORT=20203", "NETSERVER_SERVICE_PORT_TLS_1=443",
		"NETSERVER_PORT=tcp://10.96.0.1:20203", "NETSERVER_PORT_20203_TCP=tcp://10.96.0.1:20203",
		"NETSERVER_PORT_20203_TCP_PROTO=tcp", "NETSERVER_PORT_20203_TCP_PORT=20203", "NETSERVER_PORT_20203_TCP_ADDR=10.96.0.1",
		"NETSERVER_SMTP_SERVICE_HOST=fd00::1", "NETSERVER_SMTP_PORT=udp://[fd00::1]:25", "NETSERVER_SMTP_PORT_25_UDP_ADDR=fd00::1",
		"NETSERVER_USER=x",
	}
	s := argSet()
	l := s.ReadEnv(env)
	if got := show(l); got != "user=x@0" {
		t.Errorf("got %s", got)
	}
	res, err := s.Resolve(l)
	if err != nil || len(res.Warnings) != 1 {
		t.Fatalf("%v; %v", err, res)
	}
	line := res.Warnings[0].Error()
	if !strings.Contains(line, "NETSERVER_PORT, NETSERVER_PORT_20203_TCP,") || !strings.Contains(line, "and 3 more ignored") {
		t.Error(line)
	}
}

// What only begins like one is somebody's mistake, and stops the start.
func TestNoServiceLinks(t *testing.T) {
	for _, v := range []string{
		"NETSERVER_PROT=tcp://10.96.0.1:20203", "NETSERVER_SERVICE=x", "NETSERVER_SERVICE_PORT=https", "NETSERVER_SERVICE_HOST=",
		"NETSERVER_PORT_TCP=tcp://10.0.0.1:1", "NETSERVER_service_host=10.0.0.1", "NETSERVER_SERVICE_HOST=a b",
	} {
		s := argSet()
		if _, err := s.Resolve(s.ReadEnv([]string{v})); !errors.Is(err, ErrUnknownKey) {
			t.Errorf("%s: %v", v, err)
		}
	}
	for _, v := range []string{"NETSERVER_PORT=443/ssl", "NETSERVER_PORT=tcp://10.0.0.1", "NETSERVER_PORT=tcp://10.0.0.1:80\n443"} {
		if l := argSet().ReadEnv([]string{v}); len(l.Entries) != 1 || len(l.Warnings) != 0 {
			t.Errorf("%s: %v, %v", v, l.Entries, l.Warnings)
		}
	}
}
