package sandbox

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
	if p.Role == "refuse" {
		return refusing(p)
	}
	return 0
}
