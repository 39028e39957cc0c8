package proc_test

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"netserver/internal/proc"
)

func mappedPages(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatal("no RssFile")
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// The program goes on with fewer pages, and what it has written is still there.
func TestTrimProgram(t *testing.T) {
	before := mappedPages(t)
	kept := []byte("written")
	for range 3 {
		if err := proc.TrimProgram(); err != nil {
			t.Fatal(err)
		}
	}
	if after := mappedPages(t); after >= before {
		t.Errorf("pages of files: %d, then %d KiB", before, after)
	}
	if string(kept) != "written" {
		t.Error("memory was lost")
	}
}
