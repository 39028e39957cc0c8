package netserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"netserver"
	"netserver/netservertest"
	"netserver/port"
	"netserver/proto"
)

// says answers each client with a word, and works beside.
type says struct {
	word string
	runs chan string // told of the begin and the end of its work
}

func (s *says) Serve(_ context.Context, c *netserver.Conn) error {
	_, err := fmt.Fprintln(c, s.word)
	return err
}

func (s *says) Run(ctx context.Context) {
	s.runs <- "begin " + s.word
	<-ctx.Done()
	s.runs <- "end " + s.word
}

func (s *says) Descriptors() int { return 7 }

// wrapping is a Handler around another.
type wrapping struct{ netserver.Handler }

func (w wrapping) Unwrap() netserver.Handler { return w.Handler }

func TestHandlersByPort(t *testing.T) {
	runs := make(chan string, 10)
	a, b := &says{"a", runs}, &says{"b", runs}
	s := &netserver.Server{
		Handler:  a,
		Handlers: map[string]netserver.Handler{"127.0.0.1:0/ssl": wrapping{b}, "127.0.0.1:0/tcp": nil},
	}
	r := netservertest.Start(t, s, "tcp", "ssl", "unix")
	for name, want := range map[string]string{"tcp": "a\n", "ssl": "b\n", "unix": "a\n"} {
		got, err := io.ReadAll(r.Dial(t, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	began := []string{<-runs, <-runs}
	if err := r.Stop(t); err != nil {
		t.Error(err)
	}
	ended := []string{<-runs, <-runs}
	for _, list := range [][]string{began, ended} {
		if list[0] > list[1] {
			list[0], list[1] = list[1], list[0]
		}
	}
	if got := fmt.Sprint(began, ended, len(runs)); got != "[begin a begin b] [end a end b] 0" {
		t.Error(got)
	}
}

func TestHandlersThatAreNotThere(t *testing.T) {
	ports := []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "tcp", IPv: "4"}, {Host: "127.0.0.1", Port: "0", Proto: "unix", IPv: "4"}}
	var none netserver.HandlerFunc
	for _, c := range []struct {
		s    *netserver.Server
		want string
	}{
		{&netserver.Server{Handler: &says{}, Handlers: map[string]netserver.Handler{"127.0.0.1:1/tcp": &says{}}}, `"127.0.0.1:1/tcp", which is no port; there are 127.0.0.1:0/tcp`},
		{&netserver.Server{Handlers: map[string]netserver.Handler{"127.0.0.1:0/tcp": wrapping{none}}}, "port 127.0.0.1:0/tcp: neither Server.Handler nor Server.Handlers has a Handler for it"},
		{&netserver.Server{Handlers: map[string]netserver.Handler{}}, "Server has no Handler"},
		{&netserver.Server{Handler: wrapping{none}}, "Server has no Handler"},
		{&netserver.Server{Handler: netserver.StartsTLS(nil)}, "Server has no Handler"},
	} {
		c.s.Config.Ports = ports[:1]
		if err := c.s.ListenAndServe(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c.want, "no port") {
			l.Close()
			continue
		}
		if err := c.s.Serve(t.Context(), l); err == nil || errors.Is(err, netserver.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	}
}

func TestHandlerAs(t *testing.T) {
	h := wrapping{wrapping{&says{word: "x"}}}
	if d, ok := netserver.HandlerAs[proto.Descriptors](h); !ok || d.Descriptors() != 7 {
		t.Error("what wraps it hides it")
	}
	if _, ok := netserver.HandlerAs[proto.Passer](h); ok {
		t.Error("it is none")
	}
	if _, ok := netserver.HandlerAs[proto.Runner](nil); ok {
		t.Error("nil is none")
	}
}
