package netservertest

import (
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestLeaksAreFound(t *testing.T) {
	before := take()
	var report strings.Builder
	if !before.clean(&report, stableTime) {
		t.Fatalf("nothing was left, but: %s", report.String())
	}

	stop, ended := make(chan struct{}), make(chan struct{})
	go waitFor(stop, ended)
	if before.clean(&report, 50*time.Millisecond) || !strings.Contains(report.String(), "netservertest.waitFor") {
		t.Errorf("a goroutine was left, reported: %s", report.String())
	}
	close(stop)
	<-ended

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	report.Reset()
	if len(descriptors()) > 0 {
		if before.clean(&report, 50*time.Millisecond) || !strings.Contains(report.String(), "descriptor") {
			t.Errorf("a socket was left, reported: %s", report.String())
		}
	}
	l.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && before.clean(&report, 50*time.Millisecond) {
		t.Error("a pipe was left, and not reported")
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(w)
	r.Close()
	w.Close()
	report.Reset()
	if !before.clean(&report, stableTime) {
		t.Errorf("all was closed, but: %s", report.String())
	}
}

func waitFor(stop, ended chan struct{}) {
	<-stop
	close(ended)
}
