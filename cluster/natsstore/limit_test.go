package natsstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"netserver/cluster"
)

func TestBoundedFrames(t *testing.T) {
	payload := strings.Repeat("x", maxPayload)
	for _, tt := range []struct {
		sent string
		ok   bool
	}{
		{"PING\r\n+OK\r\nMSG a.b 1 3\r\na\nb\r\nHMSG a 1 r 12 15\r\nNATS/1.0\r\n\r\nabc\r\nmsg a 1 0\r\n\r\nPONG\r\n", true},
		{"INFO " + strings.Repeat("x", maxInfo-5) + "\r\n", false},
		{"INFO " + strings.Repeat("x", maxInfo-6) + "\r\nPING\r\n", true},
		{"+OK" + strings.Repeat("x", maxLine), false},
		{fmt.Sprintf("MSG a 1 %d\r\n%s\r\nPING\r\n", len(payload), payload), true},
		{fmt.Sprintf("MSG a 1 %d\r\n", maxPayload+1), false},
		{"MSG a 1 99999999999999999999\r\n", false}, {"HMSG a 1 5 -1\r\n", false}, {"MSG\r\n", false}, {"MSG\ta\t1\tx\r\n", false},
	} {
		for _, step := range []int{7, len(tt.sent)} {
			var f frames
			var err error
			for i := 0; i < len(tt.sent) && err == nil; i += step {
				err = f.look([]byte(tt.sent[i:min(i+step, len(tt.sent))]))
			}
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, cluster.ErrValue) {
				t.Errorf("%.40q: %v", tt.sent, err)
			}
			if tt.ok && (len(f.line) != 0 || f.skip != 0) {
				t.Errorf("%.40q: %d bytes of a line, %d of a message", tt.sent, len(f.line), f.skip)
			}
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("MSG a 1 3\r\nabc\r\nPING\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole, parts frames
		err := whole.look(b)
		var err2 error
		for i := range b {
			if err2 = parts.look(b[i : i+1]); err2 != nil {
				break
			}
		}
		if (err == nil) != (err2 == nil) {
			t.Errorf("whole %v, in parts %v", err, err2)
		}
	})
}

// What a server sends that is none, or lies, is an error of each call.
func TestHostileServer(t *testing.T) {
	const info = `INFO {"server_id":"x","version":"2.9.10","proto":1,"headers":true,"max_payload":1048576,"jetstream":true}` + "\r\n"
	for _, tt := range []struct {
		greeting, answer string
	}{
		{"HTTP/1.1 400 Bad Request\r\n", ""},
		{"INFO not json\r\n", ""},
		{"INFO " + strings.Repeat("x", maxInfo), ""},
		{info, "MSG a 1 99999999999\r\n"},
		{info, "PONG\r\nMSG a 1 1099511627776\r\n"},
		{info, "PONG\r\nHMSG _INBOX.x 1 1000 10\r\n"},
		{info, "PONG\r\nINFO {\r\n-ERR '\r\n"},
		{info, "-ERR 'Authorization Violation'\r\n"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, tt.greeting)
				buf := make([]byte, 4096)
				if n, _ := c.Read(buf); n > 0 && tt.answer != "" {
					io.WriteString(c, tt.answer)
				}
				for err == nil {
					_, err = c.Read(buf)
				}
				c.Close()
			}
		}()
		st, err := Open(context.Background(), "nats://"+l.Addr().String(), cluster.StoreOptions{Timeout: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Get(context.Background(), "x"); err == nil || len(err.Error()) > 500 {
			t.Errorf("%.20q, %.30q: %v", tt.greeting, tt.answer, err)
		} else {
			t.Logf("%.20q, %.30q: %v", tt.greeting, tt.answer, err)
		}
		st.Close()
		l.Close()
		<-done
	}
}
