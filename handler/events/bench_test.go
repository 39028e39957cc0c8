package events_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/events"
	"netserver/port"
	"netserver/tlsparams"
)

// pss returns the process's share of memory, in bytes.
func pss(b *testing.B) (n int) {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		b.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nPss:")
	fmt.Sscan(rest, &n)
	return n << 10
}

// BenchmarkParked has 9,000 TLS clients of another process wait: the memory of
// each, and the time of a message to all.
func BenchmarkParked(b *testing.B) {
	const count = 9000
	h := &events.Handler{Input: func(c *events.Client, in []byte) (int, error) { return c.Write(in) }}
	s := &netserver.Server{Handler: h, Log: slog.New(slog.DiscardHandler)}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4"}}
	s.Config.TLS.CertFile = tlsparams.ForceSelfSigned
	ls, err := s.Listen(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(b.Context(), ls...) }()
	defer func() { s.Close(); <-served }()
	before := pss(b)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EVENTS_TEST_CLIENTS="+ls[0].Addr().String(), fmt.Sprint("EVENTS_TEST_COUNT=", count))
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		b.Fatal(line, err)
	}
	go io.Copy(io.Discard, out)
	each := float64(pss(b)-before) / count
	var took time.Duration
	for b.Loop() {
		begin := time.Now()
		if n := h.Broadcast([]byte("one message to all of them"), nil); n != count {
			b.Fatalf("%d clients", n)
		}
		took = max(took, time.Since(begin))
	}
	b.ReportMetric(each, "B/client")
	b.ReportMetric(float64(took.Milliseconds()), "ms/broadcast")
}
