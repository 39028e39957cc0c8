//go:build unix

package exec_test

import (
	"strings"
	"testing"

	"netserver/netservertest"
)

// A program that opens ports of its own is named once, with the cure.
func TestProgramWithPortsOfItsOwn(t *testing.T) {
	const told = "the program is a server that opens ports of its own"
	for line, want := range map[string]int{
		"2026/11/28-18:51:32 G (type Net::Server::Fork) starting! pid(8478)": 1,
		"2026/11/28-18:51:32 netserver (type Fork) starting! pid(8478)":      1,
		"2026/11/28-18:51:32 G (type Net::Server::INET) starting! pid(8478)": 0,
		"2026/11/28-18:51:32 netserver (type INET) starting! pid(8478)":      0,
		"an engine (type V8) starting! pid 3":                                0,
		"(type ":                                                             0,
	} {
		s := serve(t, sh("echo '"+line+"' >&2"))
		for range 2 {
			s.run("tcp", "")
			s.record()
		}
		if n := strings.Count(s.log.String(), told); n != want {
			t.Errorf("%q: told %d times, not %d\n%s", line, n, want, s.log.String())
		}
	}
	netservertest.PerlModule(t, "Net::Server::Fork")
	h := sh(`exec timeout 10 perl -e 'package G; use base qw(Net::Server::Fork); G->run(port => "127.0.0.1:0")'`)
	s := serve(t, h)
	c := s.dial("tcp")
	eventually(t, "the program is named", func() bool {
		return strings.Contains(s.log.String(), told) && strings.Contains(s.log.String(), "Net::Server::INET as its base class")
	})
	reset(t, c)
	s.record()
}
