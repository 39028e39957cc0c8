package sock

import (
	"strings"
	"testing"
	"time"

	"netserver/conf"
)

func values(key string, texts ...string) conf.Values {
	v := conf.Values{}
	for i, text := range texts {
		v[key] = append(v[key], conf.Value{Text: text, Origin: conf.Origin{Source: conf.SourceFile, File: "server.conf", Line: 12 + i}})
	}
	return v
}

func TestWith(t *testing.T) {
	for _, tc := range []struct {
		key, text string
		want      Options
	}{
		{"listen", "128", Options{Backlog: 128}},
		{"listen", "0", Options{}},
		{"reuse_port", "1", Options{ReusePort: true}},
		{"reuse_port", "Yes", Options{ReusePort: true}},
		{"reuse_port", "0", Options{}},
		{"freebind", "1", Options{Freebind: true}},
		{"unix_mode", "0660", Options{UnixMode: 0o660}},
		{"unix_mode", "0o600", Options{UnixMode: 0o600}},
		{"unix_mode", "777", Options{UnixMode: 0o777}},
		{"unix_owner", "www-data", Options{UnixOwner: "www-data"}},
		{"unix_group", "33", Options{UnixGroup: "33"}},
		{"udp_recv_len", "65535", Options{UDPRecvLen: 65535}},
		{"udp_broadcast", "1", Options{UDPBroadcast: true}},
		{"tcp_keepalive", "60", Options{KeepAlive: time.Minute}},
		{"tcp_keepalive", "1m30s", Options{KeepAlive: 90 * time.Second}},
		{"tcp_keepalive", "0", Options{}},
		{"tcp_keepalive", "none", Options{KeepAlive: -1}},
		{"tcp_keepalive", "-1", Options{KeepAlive: -1}},
		{"SSL_cert_file", "x", Options{}}, // not ours
	} {
		got, err := Options{}.With(values(tc.key, tc.text))
		if err != nil || got != tc.want {
			t.Errorf("%s %s: %+v, %v", tc.key, tc.text, got, err)
		}
		if err := got.check(); err != nil && got.unsupported() == nil {
			t.Errorf("%s %s: passes With and not check: %v", tc.key, tc.text, err)
		}
	}
}

func TestWithKeepsTheRest(t *testing.T) {
	base := Options{Backlog: 5, UDPRecvLen: 100, UnixMode: 0o600}
	got, err := base.With(values("listen", "9"))
	if want := (Options{Backlog: 9, UDPRecvLen: 100, UnixMode: 0o600}); err != nil || got != want || base.Backlog != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := base.With(nil); err != nil || got != base {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWithRefuses(t *testing.T) {
	for _, tc := range []struct{ key, text string }{
		{"listen", "-1"}, {"listen", "many"}, {"listen", ""}, {"listen", "99999999999"}, {"listen", "1.5"},
		{"reuse_port", "maybe"},
		{"freebind", "maybe"},
		{"unix_mode", "0890"}, {"unix_mode", "1777"}, {"unix_mode", "rw"}, {"unix_mode", ""},
		{"udp_recv_len", "0"}, {"udp_recv_len", "65536"}, {"udp_recv_len", "4k"},
		{"udp_broadcast", "off"},
		{"tcp_keepalive", "soon"}, {"tcp_keepalive", "40000"}, {"tcp_keepalive", "100h"}, {"tcp_keepalive", ""},
	} {
		base := Options{Backlog: 5}
		_, err := base.With(values(tc.key, tc.text))
		if err == nil {
			t.Errorf("%s %q was taken", tc.key, tc.text)
			continue
		}
		wantError(t, err, tc.key+": ", tc.text, " (server.conf:12)")
	}
	_, err := Options{}.With(values("listen", "1", "2"))
	wantError(t, err, "listen: given 2 times, but takes one value (server.conf:13)")

	bad := values("listen", "x")
	bad["udp_recv_len"] = values("udp_recv_len", "y")["udp_recv_len"]
	if _, err := (Options{}).With(bad); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("want a line for each bad value, got %v", err)
	}
}

func TestKeysAreAllKnown(t *testing.T) {
	for _, network := range []string{"tcp", "udp", "unix", "unixgram"} {
		for _, key := range Keys(network) {
			if _, err := (Options{}).With(values(key, "?")); err == nil && key != keyUnixOwner && key != keyUnixGroup {
				t.Errorf("%s: %s is not read by With", network, key)
			}
		}
	}
	if Keys("sctp") != nil {
		t.Error("keys of an unknown network")
	}
}

func FuzzWith(f *testing.F) {
	for _, s := range []string{"", "0", "-1", "0o660", "1m30s", "off", "65536", "\x00", "999999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, key := range []string{keyListen, keyReusePort, keyUnixMode, keyUDPRecvLen, keyUDPBroadcast, keyKeepAlive} {
			got, err := Options{}.With(values(key, s))
			if err != nil && got != (Options{}) {
				t.Errorf("%s %q: changed by a bad value", key, s)
			}
			if err := got.check(); err != nil && got.unsupported() == nil {
				t.Errorf("%s %q: passes With and not check: %v", key, s, err)
			}
		}
	})
}
