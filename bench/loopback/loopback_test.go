package loopback

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestOnlyLoopback(t *testing.T) {
	for s, want := range map[string]string{
		"127.0.0.1:443":          "",
		"127.9.8.7:1":            "",
		"[::1]:443":              "",
		"[::ffff:127.0.0.1]:443": "",
		"localhost:443":          "write ADDRESS:PORT",
		"192.0.2.1:443":          "not a loopback address",
		"0.0.0.0:443":            "not a loopback address",
		"[::]:443":               "not a loopback address",
		"[::ffff:192.0.2.1]:443": "not a loopback address",
		"127.0.0.1:0":            "port 0",
		"127.0.0.1":              "write ADDRESS:PORT",
		"":                       "write ADDRESS:PORT",
	} {
		_, err := Target(s)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", s, err, want)
		}
	}
	for _, s := range []string{"", "localhost", "10.0.0.1", "::"} {
		if _, err := Source(s); err == nil {
			t.Errorf("source %q was taken", s)
		}
	}
	if _, err := Dial(context.Background(), netip.Addr{}, netip.MustParseAddrPort("192.0.2.1:9"), time.Second); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("dialled: %v", err)
	}
}

func TestClock(t *testing.T) {
	c := NewClock()
	defer c.Release()
	at := time.Now().Add(20 * time.Millisecond)
	c.SleepUntil(at)
	if time.Now().Before(at) {
		t.Error("it woke too early")
	}
	c.SleepUntil(at) // has passed
}
