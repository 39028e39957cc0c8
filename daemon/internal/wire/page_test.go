package wire

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"netserver/internal/control"
)

// packed is a page of n clients, as it stands in a message.
func packed(n int) string {
	var b []byte
	for range n {
		b = appendClient(b, &control.Client{ID: "1"})
	}
	return base64.StdEncoding.EncodeToString(b)
}

// A packed page says what the same clients say in JSON, and is cleaned as that is.
func TestPackedPage(t *testing.T) {
	idle := 3.012
	list := []control.Client{
		{ID: "1", Port: "127.0.0.1:443/ssl", Peer: "192.0.2.7:52070", Stage: "handler", Doing: "echo", Since: time.Unix(0, time.Now().UnixNano()), Connected: 12.345, In: 7, Out: 1 << 40, Idle: &idle},
		{ID: "18446744073709551615", PeerName: "a\x1b[2Jb", ServerName: "\u202e" + strings.Repeat("x", 1000), TLS: "TLS 1.3", Since: time.Unix(1, 1)},
	}
	var b []byte
	for i := range list {
		b = appendClient(b, &list[i])
	}
	read := func(a Answer) []control.Client {
		t.Helper()
		text, err := json.Marshal(Message{Op: OpAnswer, ID: 1, Answer: &a})
		if err != nil {
			t.Fatal(err)
		}
		m, err := said(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if m.Answer.Page != nil {
			t.Error("the page is still packed")
		}
		for i := range m.Answer.Clients {
			m.Answer.Clients[i].Since = m.Answer.Clients[i].Since.UTC()
		}
		return m.Answer.Clients
	}
	got, want := read(Answer{Page: b}), read(Answer{Clients: list})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("packed: %+v\nin JSON: %+v", got, want)
	}
	if strings.Contains(got[1].PeerName, "\x1b") {
		t.Errorf("a name that is not clean: %q", got[1].PeerName)
	}
	for n := range b {
		if list, err := unpack(b[:n]); err == nil && len(list) > 1 {
			t.Errorf("%d of %d bytes are %d clients", n, len(b), len(list))
		}
	}
}
