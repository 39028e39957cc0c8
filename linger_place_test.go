package netserver_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"netserver"
	"netserver/netservertest"
)

// A client that has sent what nobody reads, and stays, keeps its connection
// lingering for two seconds. It does not keep its place in the Handler.
func TestLingeringClientLeavesItsPlace(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		line, err := c.ReadLine()
		if err == nil {
			fmt.Fprintf(c, "%s\n", line)
		}
		return err
	})}
	s.Config.Limits.MaxServing = 1
	r := netservertest.Start(t, s, "tcp")
	const n = 5
	begin := time.Now()
	for range n {
		c, err := net.Dial("tcp", r.Addr(t, "tcp").String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "quit\nunread")
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "quit\n" {
			t.Fatal(line, err)
		}
	}
	if took := time.Since(begin); took > (n-1)*2*time.Second/2 {
		t.Errorf("%d clients that linger for two seconds took %v", n, took)
	}
}
