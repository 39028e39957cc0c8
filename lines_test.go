package netserver_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
)

// withConn calls f with the Conn of a client that sends in, in pieces of the
// given size, and then ends.
func withConn(t testing.TB, cfg netserver.Config, in []byte, piece int, f func(c *netserver.Conn)) {
	t.Helper()
	done := make(chan struct{})
	s := &netserver.Server{
		Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
			defer close(done)
			defer func() { // the server would only log it
				if v := recover(); v != nil {
					t.Errorf("%.40q by %d: panic: %v", in, piece, v)
				}
			}()
			f(c)
			return nil
		}),
		Config: cfg,
		Log:    slog.New(slog.DiscardHandler),
	}
	l := newPipeListener()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	c := l.dial()
	go func() {
		defer c.Close()
		for len(in) > 0 {
			n := min(piece, len(in))
			if _, err := c.Write(in[:n]); err != nil {
				return
			}
			in = in[n:]
		}
	}()
	<-done
	cancel()
	<-served
}

// The largest int means no limit, and the longest duration never.
func TestLargestLimits(t *testing.T) {
	var cfg netserver.Config
	cfg.Limits.MaxLine, cfg.Timeouts.Write = math.MaxInt, math.MaxInt64
	ended := false // without a panic
	withConn(t, cfg, []byte("one\ntwo\nthree;four"), 100, func(c *netserver.Conn) {
		for _, want := range []string{"one", "two"} {
			if b, err := c.ReadLine(); string(b) != want || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		}
		if b, err := c.ReadUntil(';', math.MaxInt); string(b) != "three;" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		ended = true
	})
	if !ended {
		t.Error("a read of a line has panicked")
	}
	l := listenTCP(t)
	start(t, &netserver.Server{Handler: netserver.HandlerFunc(echoLines), Config: cfg}, l)
	c := dial(t, l)
	if !echoed(t, c, bufio.NewReader(c), "one") {
		t.Error("nothing can be written")
	}
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 70)
	for _, tt := range []struct {
		in   string
		want []string
		err  error
	}{
		{"", nil, io.EOF},
		{"a\nb\n", []string{"a", "b"}, io.EOF},
		{"a\r\nb\r\n\r\n", []string{"a", "b", ""}, io.EOF},
		{"a\rb\n\n", []string{"a\rb", ""}, io.EOF},
		{"a\r\r\n", []string{"a\r"}, io.EOF},
		{"no end", []string{"no end"}, io.EOF},
		{"last\r", []string{"last\r"}, io.EOF},
		{"ok\n" + long + "\n", []string{"ok"}, netserver.ErrLineTooLong},
		{long[:63] + "\nx", []string{long[:63], "x"}, io.EOF},
		{long[:64] + "\nx", nil, netserver.ErrLineTooLong},
		{long[:64], nil, netserver.ErrLineTooLong},
		{long[:63], []string{long[:63]}, io.EOF},
	} {
		for _, piece := range []int{1, 3, 1000} {
			withConn(t, netserver.Config{Limits: netserver.Limits{MaxLine: 64}}, []byte(tt.in), piece, func(c *netserver.Conn) {
				var got []string
				for {
					line, err := c.ReadLine()
					if err != nil {
						if !errors.Is(err, tt.err) {
							t.Errorf("%q: error %v, want %v", tt.in, err, tt.err)
						}
						break
					}
					got = append(got, string(line))
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("%q by %d: got %q, want %q", tt.in, piece, got, tt.want)
				}
			})
		}
	}
}

func TestReadsMix(t *testing.T) {
	in := "HELO x\r\n5 bytes and more\nabc:def:rest"
	withConn(t, netserver.Config{}, []byte(in), 4, func(c *netserver.Conn) {
		check := func(what, got, want string, err error) {
			t.Helper()
			if got != want || err != nil {
				t.Errorf("%s: got %q, %v; want %q", what, got, err, want)
			}
		}
		b, err := c.Peek(4)
		check("Peek", string(b), "HELO", err)
		b, err = c.ReadLine()
		check("ReadLine", string(b), "HELO x", err)
		five := make([]byte, 5)
		_, err = io.ReadFull(c, five)
		check("Read", string(five), "5 byt", err)
		b, err = c.ReadUntil('\n', 100)
		check("ReadUntil", string(b), "es and more\n", err)
		b, err = c.ReadUntil(':', 0)
		check("ReadUntil", string(b), "abc:", err)
		b, err = c.ReadUntil(':', 2)
		check("ReadUntil, count first", string(b), "de", err)
		b, err = c.ReadUntil(':', 0)
		check("ReadUntil", string(b), "f:", err)
		b, err = c.Peek(3)
		check("Peek", string(b), "res", err)
		if n := c.Buffered(); n < 3 {
			t.Errorf("Buffered is %d after Peek(3)", n)
		}
		b, err = c.Peek(10)
		if string(b) != "rest" || err != io.EOF {
			t.Errorf("Peek at the end: %q, %v", b, err)
		}
		rest, err := io.ReadAll(c)
		check("ReadAll", string(rest), "rest", err)
		if _, err := c.ReadLine(); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
		if _, err := c.Peek(1 << 20); err == nil || err == io.EOF {
			t.Errorf("Peek beyond MaxLine: %v", err)
		}
		if _, err := c.ReadUntil('x', -1); err == nil {
			t.Error("negative count was taken")
		}
	})
}

// FuzzReadLine compares ReadLine with bufio.Scanner.
func FuzzReadLine(f *testing.F) {
	f.Add([]byte("a\r\nb\n\nc"), 3)
	f.Add([]byte("\r\n\r"), 1)
	f.Add(bytes.Repeat([]byte("0123456789"), 1000), 7)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		if len(in) > 20000 || len(in)/max(piece, 1) > 2000 {
			t.Skip()
		}
		sc := bufio.NewScanner(bytes.NewReader(in))
		sc.Split(func(data []byte, atEOF bool) (int, []byte, error) {
			if i := bytes.IndexByte(data, '\n'); i >= 0 {
				line := data[:i]
				if n := len(line); n > 0 && line[n-1] == '\r' {
					line = line[:n-1]
				}
				return i + 1, line, nil
			}
			if atEOF && len(data) > 0 {
				return len(data), data, nil
			}
			return 0, nil, nil
		})
		withConn(t, netserver.Config{}, in, max(piece, 1), func(c *netserver.Conn) {
			for sc.Scan() {
				line, err := c.ReadLine()
				if err != nil || !bytes.Equal(line, sc.Bytes()) {
					t.Fatalf("got %q, %v; want %q", line, err, sc.Bytes())
				}
			}
			if line, err := c.ReadLine(); err != io.EOF {
				t.Fatalf("at the end: %q, %v", line, err)
			}
		})
	})
}

// Clients that wait cost no buffer: a thousand idle line readers must fit in
// much less than a thousand buffers.
func TestIdleReaderHoldsNoBuffer(t *testing.T) {
	const clients = 400
	for _, proto := range []string{"tcp", "ssl", "unix"} {
		t.Run(proto, func(t *testing.T) {
			var ready = make(chan struct{}, clients)
			s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
				for {
					line, err := c.ReadLine()
					if err != nil {
						return err
					}
					if _, err := c.Write(append(line, '\n')); err != nil {
						return err
					}
					ready <- struct{}{}
				}
			})}
			r := netservertest.Start(t, s, proto)
			conns := make([]net.Conn, clients)
			for i := range conns {
				conns[i] = r.Dial(t, proto)
			}
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			before := heap()
			for _, c := range conns {
				fmt.Fprint(c, "hello\n")
				<-ready
				if _, err := io.ReadFull(c, make([]byte, 6)); err != nil {
					t.Fatal(err)
				}
			}
			after := heap()
			per := (int64(after) - int64(before)) / clients
			t.Logf("%d bytes of heap for each client that has read a line and waits", per)
			if per > 3000 { // a buffer has 4096
				t.Errorf("a waiting client holds %d bytes more than before it read", per)
			}
		})
	}
}

func BenchmarkReadLine(b *testing.B) {
	for _, proto := range []string{"tcp", "ssl"} {
		b.Run(proto, func(b *testing.B) {
			lines := make(chan int, 1)
			s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
				n := 0
				for {
					if _, err := c.ReadLine(); err != nil {
						lines <- n
						return nil
					}
					n++
				}
			})}
			r := netservertest.Start(b, s, proto)
			c := r.Dial(b, proto)
			c.SetDeadline(time.Time{})
			block := bytes.Repeat([]byte("a line of some forty bytes, as many have\n"), 100)
			b.SetBytes(int64(len(block) / 100))
			b.ReportAllocs()
			b.ResetTimer()
			for range (b.N + 99) / 100 {
				if _, err := c.Write(block); err != nil {
					b.Fatal(err)
				}
			}
			c.(interface{ CloseWrite() error }).CloseWrite()
			<-lines
		})
	}
}
