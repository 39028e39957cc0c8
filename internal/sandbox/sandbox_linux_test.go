package sandbox

import (
	"fmt"
	"os"
	"testing"
)

// Landlock has rules for files, and none for pipes without a name.
func TestRuledFiles(t *testing.T) {
	ruled, err := newRuledFiles()
	if err != nil {
		t.Skip(err)
	}
	defer ruled.close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	for path, want := range map[string]bool{
		t.TempDir(): true, os.Args[0]: true, "/dev/null": true,
		fmt.Sprintf("/proc/self/fd/%d", r.Fd()): false,
	} {
		if got := ruled.has(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
