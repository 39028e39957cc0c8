package sni

import (
	"fmt"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	var tab Table[string]
	if _, ok := tab.Find("x"); ok {
		t.Fatal("empty table has a value")
	}
	for _, p := range []string{"a.example.com", "*.example.com", "b.example.com."} {
		tab.Set(p, p)
	}
	for name, want := range map[string]string{
		"a.example.com": "a.example.com", "A.Example.COM.": "a.example.com", "c.example.com": "*.example.com",
		"b.example.com": "b.example.com.", "x.c.example.com": "", "example.com": "", ".example.com": "", "": "",
	} {
		if got, _ := tab.Find(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	tab.Set("", "default")
	for _, name := range []string{"", "example.com", "x.c.example.com"} {
		if got, ok := tab.Find(name); !ok || got != "default" {
			t.Errorf("%q: %q", name, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { tab.Find("www.example.com") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheck(t *testing.T) {
	for _, good := range []string{"", "a", "*.a.b", "xn--caf-dma.example"} {
		if r := Check(good); r != "" {
			t.Error(good, r)
		}
	}
	for _, bad := range []string{"*", "a.*.b", "*.*.b", "www*.b", "a b", "a..b", ".a", "*.", "http://a"} {
		if Check(bad) == "" {
			t.Errorf("%q passes", bad)
		}
	}
}

// The longest name of DNS is 253 bytes.
func TestLongestName(t *testing.T) {
	longest := strings.Repeat("a.", 126) + "a"
	if r := Check(longest); r != "" || len(longest) != 253 {
		t.Errorf("%d bytes: %s", len(longest), r)
	}
	if Check(longest+"a") == "" {
		t.Error("254 bytes pass")
	}
}

// At finds what was set, under the same pattern alone.
func TestAt(t *testing.T) {
	var tab Table[string]
	patterns := []string{"", "a.example.com", "*.example.com"}
	for i, p := range patterns {
		if v, ok := tab.At(p); ok || v != "" || tab.Len() != i {
			t.Errorf("%q before it is set: %q, %d in all", p, v, tab.Len())
		}
		tab.Set(p, "value of "+p)
	}
	for _, p := range append(patterns, "A.example.com.") {
		if v, ok := tab.At(p); !ok || v != "value of "+Normal(p) {
			t.Errorf("%q: %q, %v", p, v, ok)
		}
	}
	for _, p := range []string{"b.example.com", "*.a.example.com", "example.com"} {
		if v, ok := tab.At(p); ok {
			t.Errorf("%q: %q", p, v)
		}
	}
	if n := tab.Len(); n != 3 {
		t.Errorf("%d in all", n)
	}
}

func BenchmarkFind10000(b *testing.B) {
	var tab Table[int]
	for i := range 10000 {
		tab.Set(fmt.Sprintf("host%d.example.com", i), i)
	}
	b.ReportAllocs()
	for b.Loop() {
		tab.Find("host5000.example.com")
	}
}
