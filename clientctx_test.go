package netserver_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"netserver"
	"netserver/netservertest"
)

// A client's context tells of its end and of why, whoever asks when: before
// that, by a context made of it, or afterwards only.
func TestClientsContext(t *testing.T) {
	type key struct{}
	type seen struct {
		ctx, child context.Context
		during     error
		after      func() bool
	}
	for _, asked := range []string{"Done", "child", "AfterFunc", "nothing"} {
		for _, killed := range []bool{true, false} {
			t.Run(asked, func(t *testing.T) {
				serving, ended := make(chan seen, 1), make(chan struct{})
				h := netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
					v := seen{ctx: ctx, during: ctx.Err()}
					called := make(chan struct{})
					switch asked {
					case "Done":
						ctx.Done()
					case "child":
						var cancel context.CancelFunc
						v.child, cancel = context.WithCancel(ctx)
						defer cancel()
					case "AfterFunc":
						context.AfterFunc(ctx, func() { close(called) })
						v.after = func() bool { <-called; return true }
					}
					serving <- v
					_, err := c.Read(make([]byte, 1))
					if v.child != nil && killed {
						<-v.child.Done()
						if !errors.Is(context.Cause(v.child), netserver.ErrKilled) {
							t.Errorf("the child's cause is %v", context.Cause(v.child))
						}
					}
					return err
				})
				s := &netserver.Server{Handler: h}
				s.Hooks.Accepted = func(ctx context.Context, _ *netserver.Conn) context.Context {
					return context.WithValue(ctx, key{}, "of the hook")
				}
				s.Hooks.Closed = func(*netserver.Conn, netserver.Record) { close(ended) }
				r := netservertest.Start(t, s, "tcp")
				c, err := net.Dial("tcp", r.Addr(t, "tcp").String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				v := <-serving
				if v.during != nil || v.ctx.Value(key{}) != "of the hook" {
					t.Errorf("error %v, value %v", v.during, v.ctx.Value(key{}))
				}
				want := context.Canceled
				if killed {
					want = netserver.ErrKilled
					s.Monitor().Kill(1)
				} else {
					c.Close()
				}
				<-ended
				netservertest.Eventually(t, "the end", func() bool { return v.ctx.Err() != nil })
				<-v.ctx.Done()
				if v.ctx.Err() != context.Canceled || !errors.Is(context.Cause(v.ctx), want) {
					t.Errorf("error %v, cause %v, want %v", v.ctx.Err(), context.Cause(v.ctx), want)
				}
				if v.after != nil {
					v.after()
				}
			})
		}
	}
}
