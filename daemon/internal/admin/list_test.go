package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

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

// A server without targets is asked for them as seldom as for limits, one whose
// workers do not all answer is not: it may have some.
func TestTicksWithoutTargets(t *testing.T) {
	for _, c := range []struct {
		answer string
		asked  int
	}{
		{`{"targets":[],"more":false,"silent":[]}`, 1},
		{`{"targets":[{"backend":"\"targets\":[]"}],"more":false,"silent":[]}`, 4},
		{`{"targets":[],"more":false,"silent":[{"worker":1}]}`, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			asked := 0
			f := New(Options{Page: fstest.MapFS{}, Ask: func(_ context.Context, r *control.Request, each func(string, json.RawMessage) error) error {
				if r.Verb == control.VerbTargets {
					asked++
					return each("targets", json.RawMessage(c.answer))
				}
				return each(r.Verb, json.RawMessage(`{}`))
			}})
			for range 4 {
				if b := f.tick(t.Context()); !bytes.Contains(b, []byte(c.answer)) {
					t.Errorf("the tick is %s", b)
				}
				time.Sleep(tickEvery)
			}
			// The first is asked for as soon as others, the next with what is slow.
			if asked > c.asked+1 || asked < c.asked {
				t.Errorf("%s: asked for %d times in 4 ticks", c.answer, asked)
			}
		})
	}
}
