package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// converse has handle answer on n connections, and returns their other ends.
func converse(t *testing.T, n int, handle func(context.Context, *Request, *Answer) error) (*Conversation, []net.Conn, chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, n)
	var mine, theirs []net.Conn
	for range n {
		a, b := net.Pipe()
		mine, theirs = append(mine, a), append(theirs, b)
		go func() { ended <- Converse(ctx, b, handle) }()
	}
	t.Cleanup(func() {
		cancel()
		for _, c := range mine {
			c.Close()
		}
	})
	return NewConversation(mine...), theirs, ended
}

func TestConversation(t *testing.T) {
	talk, theirs, ended := converse(t, 2, func(_ context.Context, r *Request, a *Answer) error {
		switch r.Verb {
		case VerbConns:
			for i := range 3 {
				if err := a.Send("conns", i); err != nil {
					return err
				}
			}
			return nil
		case VerbKill:
			return errors.New("no <such> client")
		}
		return a.Send(r.Verb, r.Verb)
	})
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			verb := []string{VerbStatus, VerbConns, VerbKill, VerbHealth}[i%4]
			got := 0
			r := &Request{Verb: verb}
			if verb == VerbKill {
				r.ID = "1.1"
			}
			err := talk.Do(t.Context(), r, func(part string, _ json.RawMessage) error {
				if part != verb {
					t.Errorf("%s was answered with %s", verb, part)
				}
				got++
				return nil
			})
			var f *Failed
			if want := []int{1, 3, 0, 1}[i%4]; got != want || errors.As(err, &f) != (verb == VerbKill) {
				t.Errorf("%s: %d parts, %v", verb, got, err)
			}
		})
	}
	wg.Wait()
	// Whoever does not want an answer leaves the connection usable.
	stop := errors.New("stop")
	if err := talk.Do(t.Context(), &Request{Verb: VerbConns}, func(string, json.RawMessage) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
	if err := talk.Do(t.Context(), &Request{Verb: VerbStatus}, func(string, json.RawMessage) error { return nil }); err != nil {
		t.Error(err)
	}
	for _, c := range theirs {
		c.Close()
	}
	for range theirs {
		<-ended
	}
	if err := talk.Do(t.Context(), &Request{Verb: VerbStatus}, nil); !errors.Is(err, ErrLost) {
		t.Errorf("after the end: %v", err)
	}
	select {
	case <-talk.Lost():
	case <-time.After(time.Minute):
		t.Error("the end is not told")
	}
}

// Requests that wait for the server's end, or are none, are errors; a line
// without end ends the conversation.
func TestConverseRefuses(t *testing.T) {
	talk, _, ended := converse(t, 1, func(context.Context, *Request, *Answer) error { return errors.New("handled") })
	c := <-talk.free
	d := json.NewDecoder(c)
	for _, line := range []string{`{"verb":"stop","wait":true}`, `{"verb":"x"}`, `[]`, ``} {
		fmt.Fprintln(c, line)
		var f frame
		if err := d.Decode(&f); err != nil || len(f.Errors) != 1 || f.Errors[0] == "handled" {
			t.Errorf("%s: %+v, %v", line, f, err)
		}
	}
	go io.WriteString(c, strings.Repeat("x", MaxRequest+10))
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}

func TestForAdmin(t *testing.T) {
	for verb := range takes {
		r := &Request{Verb: verb}
		always := verb == VerbReload || verb == VerbDrain || verb == VerbStop || verb == VerbTarget || verb == VerbExplain
		changes := verb == VerbKill || verb == VerbBan || verb == VerbLift
		if got := r.ForAdmin(true) != nil; got != always {
			t.Errorf("%s with admin_write: refused %v", verb, got)
		}
		if got := r.ForAdmin(false) != nil; got != (always || changes) {
			t.Errorf("%s without: refused %v", verb, got)
		}
	}
}

func TestBanRequest(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"verb":"ban","network":"192.0.2.0/24"}`: true, `{"verb":"ban","network":"192.0.2.1","seconds":5}`: true, `{"verb":"ban","network":"10.0.0.0/8"}`: true,
		`{"verb":"ban","network":"10.0.0.0/7"}`: false, `{"verb":"ban","network":"0.0.0.0/0"}`: false, `{"verb":"ban","network":"2001::/15"}`: false, `{"verb":"ban","network":"2001:db8::/32"}`: true,
		`{"verb":"ban","network":"x"}`: false, `{"verb":"ban"}`: false, `{"verb":"ban","network":"192.0.2.1","seconds":-1}`: false, `{"verb":"ban","network":"192.0.2.1","seconds":2592001}`: false,
		`{"verb":"ban","network":"::ffff:0.0.0.0/96"}`: false, `{"verb":"ban","network":"10.0.0.1/8"}`: false, `{"verb":"lift","network":"10.0.0.1/8"}`: false, `{"verb":"lift","network":"192.0.2.1","seconds":1}`: false,
	} {
		if _, err := ParseRequest([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
