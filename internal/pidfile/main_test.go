package pidfile

import (
	"fmt"
	"os"
	"testing"

	"netserver/internal/childproc"
)

// TestMain makes the test binary its own child.
func TestMain(m *testing.M) {
	part, err := childproc.TakePart()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	if part != nil {
		os.Exit(child(part))
	}
	os.Exit(m.Run())
}

func child(p *childproc.Part) int {
	if p.Role == "sleep" {
		p.Link.Receive(1)
	}
	return 0
}

func start(t *testing.T, role string, files ...*os.File) *childproc.Child {
	t.Helper()
	b, err := childproc.Self()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	c, err := childproc.Start{Binary: b, Role: role, Args: os.Args[:1], Env: os.Environ(), Files: files, Stderr: os.Stderr}.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Link.Close() })
	return c
}
