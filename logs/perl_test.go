package logs

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// needPeer skips the test when a program is missing, and fails it in CI.
func needPeer(t *testing.T, err error, what string) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: %v", what, err)
	}
	t.Skipf("%s is missing: %v", what, err)
}

// The original escapes what it logs with its write_to_log_hook. Every byte and
// some longer texts must come out equal; what differs on purpose is that it
// keeps newlines inside a message.
func TestLineEscapesAsNetServer(t *testing.T) {
	perl, err := exec.LookPath("perl")
	needPeer(t, err, "perl")
	needPeer(t, exec.Command(perl, "-MNet::Server", "-e1").Run(), "Perl's Net::Server")

	const program = `
		binmode STDIN; my @texts = do { local $/ = "\0\n"; my @t = <STDIN>; chomp @t; @t };
		my $s = bless {server => {}}, "Net::Server";
		$s->write_to_log_hook(2, $_) for @texts`
	texts := []string{"Server closing!", "100% %41", "über", `CONNECT TCP Peer: "[::1]:5"`, "trailing\n", "", " "}
	for c := range 256 {
		if c != '\n' {
			texts = append(texts, "<"+string([]byte{byte(c)})+">")
		}
	}
	var in, want bytes.Buffer
	h := NewLine(&want, Options{})
	for _, s := range texts {
		in.WriteString(s + "\x00\n")
		h.Handle(context.Background(), slog.NewRecord(time.Time{}, Notice, s, 0))
	}
	cmd := exec.Command(perl, "-MNet::Server", "-e", program)
	cmd.Stdin = &in
	got, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	theirs, ours := strings.Split(string(got), "\n"), strings.Split(want.String(), "\n")
	if len(theirs) != len(ours) {
		t.Fatalf("Net::Server wrote %d lines, we %d", len(theirs), len(ours))
	}
	for i := range theirs {
		if theirs[i] != ours[i] {
			t.Errorf("Net::Server wrote %q, we %q", theirs[i], ours[i])
		}
	}
	t.Logf("%d texts agree", len(texts))
}
