package identity

import (
	"fmt"
	"io"
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
	switch p.Role {
	case "become":
		return becomeNobody(p)
	case "became":
		status, _ := os.ReadFile("/proc/self/status")
		wd, _ := os.Getwd()
		b, _ := io.ReadAll(p.Files[0])
		p.Link.Send(fmt.Appendf(nil, "%s\nFile: %s\nDir: %s\nWayBack: %v\n", status, b, wd, system().Check(65534, 65534)))
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
