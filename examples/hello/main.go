package main

import (
	"context"
	"fmt"
	"netserver"
	"netserver/port"
)

func main() {
	hello := netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		name, err := c.ReadLine()
		fmt.Fprintf(c, "Hello, %s!\n", name)
		return err
	})
	ports := []port.Spec{{Host: "127.0.0.1", Port: "20203", Proto: "tcp"}, {Host: "127.0.0.1", Port: "20204", Proto: "ssl"}}
	s := &netserver.Server{Handler: hello, Config: netserver.Config{Ports: ports}}
	fmt.Println(s.ListenAndServe(context.Background()))
}
