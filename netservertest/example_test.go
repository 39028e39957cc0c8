package netservertest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"netserver"
	"netserver/netservertest"
)

// t is the test's, in the examples that call what a test calls.
var t *testing.T

// One test of a Handler over every protocol; t is the test's.
func ExampleStart() {
	hello := netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		name, err := c.ReadLine()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c, "hello %s\n", name)
		return err
	})
	r := netservertest.Start(t, &netserver.Server{Handler: hello})
	for _, proto := range netservertest.Protos() {
		c := r.Dial(t, proto)
		fmt.Fprintln(c, "world")
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "hello world\n" {
			t.Errorf("%s: %q, %v", proto, line, err)
		}
	}
	if err := r.Stop(t); err != nil {
		t.Error(err)
	}
	for _, rec := range r.Records(t, len(netservertest.Protos())) {
		if rec.Err != nil {
			t.Errorf("client %d: %v", rec.ID, rec.Err)
		}
	}
}

// What every Handler has to stand, beside its own conversation; t is the test's.
func ExampleTestHandler() {
	netservertest.TestHandler(t, netservertest.HandlerTest{
		New: netservertest.Always(netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
			_, err := io.Copy(c, c)
			return err
		})),
		Talk: func(_ string, c net.Conn) error {
			fmt.Fprint(c, "hello")
			got := make([]byte, 5)
			if _, err := io.ReadFull(c, got); err != nil {
				return err
			}
			if string(got) != "hello" {
				return errors.New("not what was said")
			}
			return nil
		},
	})
}

// A line of the log in JSON is one object without repeated names.
func ExampleStrictJSON() {
	fmt.Println(netservertest.StrictJSON([]byte(`{"msg": "hello", "client": 1}`)))
	fmt.Println(netservertest.StrictJSON([]byte(`{"client": 1, "client": 2}`)))
	// Output:
	// <nil>
	// the key "client" stands twice
}
