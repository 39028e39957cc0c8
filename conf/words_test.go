package conf

import (
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	want := []string{"a", "b", "c"}
	for _, text := range []string{"a b c", "a,b,c", "a, b, c", " a\tb\n c ,", "a ,b,,c"} {
		if got := Words(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, text := range []string{"", " ", ",", " , "} {
		if got := Words(text); len(got) > 0 {
			t.Errorf("%q: %q", text, got)
		}
	}
}
