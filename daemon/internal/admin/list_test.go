package admin

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"netserver/internal/control"
)

// The pages of a list are put together as they are, whatever clients are called.
func TestListsArePutTogether(t *testing.T) {
	names := []string{`],"more":true,"next":"9.9","silent":[]}`, `{"id":"9.9"}`, `"\`, "\u2028<&>", ""}
	want := control.Conns{Clients: []control.Client{}, Silent: []control.Silent{{Worker: 3, PID: 4, For: 2}}, Next: "1.5"}
	pages := []control.Conns{{Clients: []control.Client{}}}
	for i, name := range names {
		c := control.Client{ID: control.ID{Worker: 1, Client: uint64(i + 1)}.String(), PeerName: name}
		want.Clients = append(want.Clients, c)
		pages = append(pages, control.Conns{Clients: []control.Client{c}, More: true, Next: c.ID})
	}
	pages = append(pages, control.Conns{Clients: []control.Client{}, Silent: want.Silent, Next: "1.5"})
	var broken string
	f := New(Options{Ask: func(_ context.Context, r *control.Request, each func(string, json.RawMessage) error) error {
		if broken != "" {
			return each("conns", []byte(broken))
		}
		for _, p := range pages {
			b, err := json.Marshal(&p)
			if err == nil {
				err = each("conns", b)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}})
	defer f.Close()
	b, err := f.allConns(t.Context(), &control.Request{Verb: control.VerbConns})
	var got control.Conns
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %+v from %s", err, got, b)
	}
	for _, broken = range []string{`{}`, `{"clients":[`, `{"clients":[],"more":`, `{"more":false,"clients":[]}`,
		`{"clients":[` + strings.Repeat(`{"id":"1"},`, MaxConns) + `{"id":"1"}],"more":false}`} {
		if b, err := f.allConns(t.Context(), &control.Request{Verb: control.VerbConns}); err == nil {
			t.Errorf("%.40s: %.100s", broken, b)
		}
	}
}
