package reverse_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/httpd"
	"netserver/handler/httpd/idle"
	"netserver/handler/httpd/reverse"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/proto"
)

// saying makes a Handler whose target answers each connection's first request
// with a text, and closes it then if ends is set.
func saying(t testing.TB, text string, ends bool) *reverse.Handler {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	t.Cleanup(func() { close(over); l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				http.ReadRequest(bufio.NewReader(c))
				io.WriteString(c, text)
				if !ends {
					<-over
				}
			}()
		}
	}()
	return &reverse.Handler{Dial: func(ctx context.Context, _ *netserver.Conn) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	}}
}

// TestHostileTargets: whatever a target says, the client gets one answer, which
// is whole or seen not to be, and the record tells that the target has failed.
func TestHostileTargets(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, tt := range []struct {
		name, text string
		status     int // 0 is an answer that breaks off
		body       string
	}{
		{"status 0", "HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n", 502, ""},
		{"status 99", "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n", 502, ""},
		{"signed status", "HTTP/1.1 +20 X\r\nContent-Length: 0\r\n\r\n", 502, ""},
		{"negative status", "HTTP/1.1 -20 X\r\nContent-Length: 0\r\n\r\n", 502, ""},
		{"status 999", "HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\nok", 999, "ok"},
		{"upgrade unasked", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\nraw", 502, ""},
		{"upgrade to nothing", "HTTP/1.1 101 X\r\n\r\nraw", 502, ""},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502, ""},
		{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200, "ok"},
		{"a length in a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n", 502, ""},
		{"NUL", "HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n", 502, ""},
		{"CR", "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n", 502, ""},
		{"endless head", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 1100), 502, ""},
		{"garbage", "\x15\x03\x01\x00\x02\x02\x16", 502, ""},
		{"nothing", "", 502, ""},
		{"two answers", ok + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", 200, "ok"},
		{"half", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", 0, ""},
		{"half chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", 0, ""},
		{"bad chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, saying(t, tt.text, true), "tcp")
			c := r.Dial(t, "tcp")
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			b := bufio.NewReader(c)
			if res, err := http.ReadResponse(b, nil); tt.status == 0 && err == nil {
				_, err = io.ReadAll(res.Body)
				if err == nil {
					t.Errorf("half an answer was taken for a whole one")
				}
			} else if tt.status != 0 {
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				rest, _ := io.ReadAll(b)
				if res.StatusCode != tt.status || err != nil || tt.body != "" && string(got) != tt.body || len(rest) > 0 {
					t.Errorf("%d %q %v, and then %q", res.StatusCode, got, err, rest)
				}
			}
			rec := r.Records(t, 1)[0]
			if failed := tt.status == 502 || tt.status == 0; (rec.Outcome == outcome.TargetFailed) != failed || errors.Is(rec.Err, proto.ErrTargetFailed) != failed {
				t.Errorf("%v", rec)
			}
		})
	}
}

// TestAnswersBeforeTheLast are passed on, but not to HTTP/1.0, whose clients
// would take the first for the last.
func TestAnswersBeforeTheLast(t *testing.T) {
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
	for version, want := range map[string]int{"1.0": 200, "1.1": 103} {
		r := start(t, saying(t, strings.Repeat(hints, 100)+"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true), "tcp")
		c := r.Dial(t, "tcp")
		io.WriteString(c, "GET / HTTP/"+version+"\r\nHost: x\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(c)
		res, e := http.ReadResponse(bufio.NewReader(strings.NewReader(string(b))), nil)
		if err != nil || e != nil || res.StatusCode != want || !strings.HasSuffix(string(b), "\r\n\r\nok") || want == 200 && strings.Contains(string(b), "Link") {
			t.Errorf("HTTP/%s: %v %v\n%.300s", version, err, e, b)
		}
	}
}

// TestTargetsThatHang make 504, also where it is the request's idle time that
// ends first, and are the client's error.
func TestTargetsThatHang(t *testing.T) {
	for _, head := range []string{"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"} {
		t.Run(fmt.Sprintf("%q", head), func(t *testing.T) {
			t.Parallel()
			h := saying(t, head, false)
			h.AnswerTimeout = -1
			limited := idle.Handler(h, func(*http.Request) time.Duration { return time.Second })
			r := netservertest.Start(t, &netserver.Server{Handler: &httpd.Handler{Handler: limited}}, "tcp")
			t.Cleanup(h.Close)
			c := r.Dial(t, "tcp")
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			b, _ := io.ReadAll(c)
			if cut := strings.HasSuffix(head, "part"); !cut && !strings.HasPrefix(string(b), "HTTP/1.1 504 ") || cut && len(b) > 0 && !strings.HasSuffix(string(b), "part") {
				t.Errorf("%q", b)
			}
			if rec := r.Records(t, 1)[0]; !errors.Is(rec.Err, proto.ErrTargetFailed) || !errors.Is(rec.Err, idle.ErrIdle) {
				t.Error(rec)
			}
		})
	}
}
