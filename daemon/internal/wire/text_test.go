package wire

import (
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	for _, tc := range [][2]string{
		{"plain", "plain"}, {"", ""}, {"Zürich", "Zürich"},
		{"a\nb\x1b[2J\x7f", "a%0Ab%1B[2J%7F"}, {"\xff\u202e\u0085", "%FF%E2%80%AE%C2%85"},
	} {
		if got := Clean(tc[0], 100); got != tc[1] {
			t.Errorf("%q becomes %q", tc[0], got)
		}
	}
	if got := Clean(strings.Repeat("ü\x00", 100), 10); got != "ü%00ü%00" {
		t.Errorf("%q", got)
	}
}
