// Command token shows a protocol of its own: clients of a port PORT/token must
// send a secret line first. The engine gives them 10 seconds for it, and lets
// nobody wait for another's.
package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"time"

	"netserver"
	"netserver/port"
	"netserver/proto"
)

// A token is a proto.Transport.
type token struct{ line []byte }

func (token) Network() string { return "tcp" }

// Ready gives up when ctx ends. Time limits are the engine's.
func (t token) Ready(ctx context.Context, nc net.Conn) (net.Conn, error) {
	defer context.AfterFunc(ctx, func() { nc.SetReadDeadline(time.Unix(1, 0)) })()
	got := make([]byte, len(t.line))
	if _, err := io.ReadFull(nc, got); err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(got, t.line) != 1 {
		return nil, errors.New("wrong token")
	}
	return nc, nil
}

// newToken is a proto.Protocol. What it refuses stops the start.
func newToken(port.Spec) (proto.Transport, error) {
	secret := os.Getenv("TOKEN")
	if len(secret) < 16 {
		return nil, errors.New("set TOKEN in the environment to a secret of 16 bytes or more")
	}
	return token{[]byte(secret + "\n")}, nil
}

func welcome(_ context.Context, c *netserver.Conn) error {
	_, err := fmt.Fprintf(c, "You are in by port %s.\n", c.Port().Short())
	return err
}

func main() {
	s := &netserver.Server{Handler: netserver.HandlerFunc(welcome)}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "20203", Proto: "token"}}
	flag.Func("port", "port to listen on (default: 127.0.0.1:20203/token)", port.Flag(&s.Config.Ports))
	flag.Parse()
	s.Protocols = map[string]proto.Protocol{"token": newToken}
	log.Fatal(s.ListenAndServe(context.Background()))
}
