package peers

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netserver/bench/honest"
	"netserver/bench/loopback"
)

// need skips the test without the peer; with CI=true the test fails.
func need(t *testing.T, p Peer) {
	t.Helper()
	missing := p.Missing()
	switch {
	case missing == "":
	case os.Getenv("CI") == "true" && !p.Rare:
		t.Fatal(missing)
	default:
		t.Skip(missing)
	}
}

// Each peer that is installed serves with the configuration written for it.
func TestPeersServe(t *testing.T) {
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	go echo(backend)
	var at Place
	if err := at.WriteCertificate(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	at.Timeout, at.Workers = 5, 2
	at.Backend = backend.Addr().(*net.TCPAddr).AddrPort().Port()
	for _, p := range All() {
		t.Run(p.Name, func(t *testing.T) {
			need(t, p)
			at := at
			at.Dir = t.TempDir()
			if at.Port, err = loopback.FreePort(); err != nil {
				t.Fatal(err)
			}
			cmd, err := p.Command(at)
			if err != nil {
				t.Fatal(err)
			}
			Apart(cmd)
			proc, err := Start(t.Context(), cmd, at.Port, true)
			if err != nil {
				t.Fatal(err)
			}
			defer proc.Stop()
			if sid, err := unix.Getsid(cmd.Process.Pid); err != nil || sid != cmd.Process.Pid {
				t.Errorf("its session is %d, %v: want one of its own", sid, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := honest.Once(ctx, netip.Addr{}, proc.Addr, true); err != nil {
				t.Error(err)
			}
			u, err := proc.Usage()
			if err != nil || u.Processes == 0 || u.Peak < 1<<20 {
				t.Errorf("usage %+v, %v", u, err)
			}
			all, err := tree(cmd.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			proc.Stop()
			if left := same(all); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

func echo(l net.Listener) {
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
}

func TestParseStat(t *testing.T) {
	st, err := parseStat(7, "7 (a ) (b) R 3 7 7 0 -1 4194304 1 2 3 4 100 20 3 4 20 0 1 0 5555 1 1")
	if err != nil || st.parent != 3 || st.own != 1200*time.Millisecond || st.below != 70*time.Millisecond || st.start != "5555" {
		t.Errorf("%+v, %v", st, err)
	}
	for _, s := range []string{"", "7 (x", "7 (x) R 3"} {
		if _, err := parseStat(7, s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

func TestParseBusy(t *testing.T) {
	if d, err := parseBusy("cpu  1 2 4 1000 1000 8 16 0 0 0"); err != nil || d != 31*tick {
		t.Errorf("%v, %v", d, err)
	}
	for _, s := range []string{"", "cpu 1", "intr 1 2 3 4 5 6 7 8"} {
		if _, err := parseBusy(s); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}
