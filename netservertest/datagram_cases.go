package netservertest

import (
	"fmt"
	"io"
	"net"
	"testing"
)

func datagramAndAnswer(t *testing.T, h *transportHarness) {
	raw, client := h.connect(t, "question")
	r := h.ready(t.Context(), t, raw)
	if r.err != nil {
		t.Fatal(r.err)
	}
	got, err := io.ReadAll(r.nc)
	if string(got) != "question" || err != nil {
		t.Fatalf("got %q, %v; want the datagram and then io.EOF", got, err)
	}
	b := make([]byte, 100)
	for _, answer := range []string{"one", "", "three"} {
		if _, err := io.WriteString(r.nc, answer); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(b); string(b[:n]) != answer || err != nil {
			t.Errorf("the client got %q, %v; want %q", b[:n], err, answer)
		}
	}
}

func manyDatagrams(t *testing.T, h *transportHarness) {
	var conns []net.Conn
	for i := range 10 {
		raw, client := h.connect(t, fmt.Sprint("from ", i))
		r := h.ready(t.Context(), t, raw)
		if r.err != nil {
			t.Fatal(r.err)
		}
		if _, err := io.Copy(r.nc, r.nc); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, client)
	}
	b := make([]byte, 100)
	for i, c := range conns {
		if n, err := c.Read(b); string(b[:n]) != fmt.Sprint("from ", i) {
			t.Errorf("client %d got %q, %v", i, b[:n], err)
		}
	}
}

func emptyDatagram(t *testing.T, h *transportHarness) {
	raw, client := h.connect(t, "")
	r := h.ready(t.Context(), t, raw)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if got, err := io.ReadAll(r.nc); len(got) > 0 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	io.WriteString(r.nc, "empty")
	b := make([]byte, 100)
	if n, err := client.Read(b); string(b[:n]) != "empty" {
		t.Errorf("the client got %q, %v", b[:n], err)
	}
}
