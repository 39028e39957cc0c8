package proc

import (
	"os"
	"path/filepath"
	"testing"
)

// The limit of a service counts, and those of the groups that it is in.
func TestLeastLimit(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("system.slice/memory.max", "3000000")
	put("system.slice/memory.high", "max")
	put("system.slice/a.service/memory.max", "max")
	put("system.slice/a.service/memory.high", "2000000")
	put("memory/box/memory.limit_in_bytes", "1000000")
	for cgroup, want := range map[string]int64{
		"0::/system.slice/a.service\n":            2000000,
		"0::/system.slice/other.service\n":        3000000,
		"0::/elsewhere\n":                         0,
		"4:memory:/box/inner\n3:cpu:/box\n0::/\n": 1000000,
		"nonsense\n":                              0,
		"":                                        0,
	} {
		if n := leastLimit(root, cgroup); n != want {
			t.Errorf("%q: %d, want %d", cgroup, n, want)
		}
	}
}
