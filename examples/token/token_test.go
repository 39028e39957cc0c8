package main

import (
	"context"
	"io"
	"net"
	"testing"

	"netserver/netservertest"
)

// A protocol from outside proves itself with the cases that the built-in ones
// have to pass.
func TestTransport(t *testing.T) {
	const secret = "sixteen bytes and more"
	t.Setenv("TOKEN", secret)
	netservertest.TestTransport(t, netservertest.TransportTest{
		Protocol: newToken,
		Client: func(_ context.Context, nc net.Conn) (net.Conn, error) {
			_, err := io.WriteString(nc, secret+"\n")
			return nc, err
		},
	})
}
