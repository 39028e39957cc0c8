package netservertest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"netserver"
	"netserver/netservertest"
)

const misbehaveEnv = "NETSERVERTEST_HANDLER"

// talkEcho expects its words back.
func talkEcho(proto string, c net.Conn) error {
	for i := range 3 {
		want := fmt.Sprintf("%s %d\n", proto, i)
		if _, err := io.WriteString(c, want); err != nil {
			return err
		}
		got := make([]byte, 100)
		n, err := io.ReadAtLeast(c, got, len(want))
		if string(got[:n]) != want {
			return fmt.Errorf("got %q, %v; want %q", got[:n], err, want)
		}
	}
	return nil
}

func TestHandlerCasesPassForEcho(t *testing.T) {
	netservertest.TestHandler(t, netservertest.HandlerTest{
		New:  netservertest.Always(netserver.HandlerFunc(echo)),
		Talk: talkEcho,
	})
}

// handlers, each with the case that must find it out.
var badHandlers = map[string]struct {
	h     netserver.HandlerFunc
	catch string
}{
	"Panics": {func(_ context.Context, c *netserver.Conn) error {
		b := make([]byte, 1)
		if n, _ := c.Read(b); n == 0 {
			panic("no bytes")
		}
		return nil
	}, "LeavesAtOnce"},
	"NeverReturns": {func(_ context.Context, c *netserver.Conn) error { select {} }, "SilentUntilCut"},
	"Leaks": {func(ctx context.Context, c *netserver.Conn) error {
		go func() { select {} }()
		return echo(ctx, c)
	}, "Talk"},
	"SpeaksWrong": {func(ctx context.Context, c *netserver.Conn) error {
		_, err := io.Copy(c, io.LimitReader(c, 5))
		return err
	}, "Talk"},
	"FailsTheGood": {func(ctx context.Context, c *netserver.Conn) error {
		echo(ctx, c)
		return io.ErrUnexpectedEOF
	}, "ManyTalk"},
}

func TestBadHandler(t *testing.T) {
	b, ok := badHandlers[os.Getenv(misbehaveEnv)]
	if !ok {
		return // it runs in a process of its own, for TestCasesCatchBadHandlers
	}
	netservertest.TestHandler(t, netservertest.HandlerTest{
		New:    netservertest.Always(b.h),
		Protos: []string{"tcp"},
		Talk:   talkEcho,
	})
}

func TestCasesCatchBadHandlers(t *testing.T) {
	t.Parallel()
	for name, b := range badHandlers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := "^TestBadHandler$/^tcp$/^" + b.catch + "$"
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", run, "-test.timeout", "40s")
			cmd.Env = append(os.Environ(), misbehaveEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("--- FAIL: TestBadHandler/tcp/"+b.catch)) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
