package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	"netserver/bench/honest"
)

func TestLoad(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	addr := l.Addr().String()
	for _, tt := range []struct {
		args   string
		status int
		want   string
	}{
		{"-plain -from 127.0.0.1 -rate 100 -count 5 " + addr, 0, "5 clients in "},
		{"-plain -from 127.0.0.1 -closed 2 -count 5 " + addr, 0, " clients/s: 5 in "},
		{"-plain -from 127.0.0.1 -stream 1 -duration 50ms " + addr, 0, " MiB/s"},
		{"-from 127.0.0.1 -count 1 -timeout 1s " + addr, 1, "1 failed (1 handshake failed)"},
		{"-h", 0, "usage: load"},
		{"", 2, "give one target"},
		{"192.0.2.1:443", 2, "not a loopback address"},
		{"-from 192.0.2.1 " + addr, 2, "not a loopback address"},
		{"-rate 0.0.1 " + addr, 2, "invalid value"},
		{"-rate -1 " + addr, 2, "rate -1"},
		{"-closed 1 -stream 1 " + addr, 2, "not both"},
	} {
		var out bytes.Buffer
		if got := run(t.Context(), strings.Fields(tt.args), &out, &out); got != tt.status || !strings.Contains(out.String(), tt.want) {
			t.Errorf("load %s: status %d, want %d; no %q in:\n%s", tt.args, got, tt.status, tt.want, &out)
		}
	}
	var out bytes.Buffer
	run(t.Context(), strings.Fields("-json -plain -from 127.0.0.1 -count 2 "+addr), &out, &out)
	var r honest.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Sent != 2 {
		t.Errorf("%v: %s", err, &out)
	}
}
