package sni

import (
	"fmt"
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
