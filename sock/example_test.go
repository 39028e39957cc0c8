package sock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"netserver/port"
	"netserver/sock"
)

// Port 0 is any free one, and Spec tells which it became.
func ExampleListen() {
	l, err := sock.Listen(context.Background(), "tcp", port.Spec{Host: "127.0.0.1", Port: "0", Proto: "tcp", IPv: "4"}, sock.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	n := l.(sock.Named)
	fmt.Println(n.Asked().Port, n.Spec().Port != "0", sock.SpecOf(l).Host)

	l.(sock.Deadliner).SetDeadline(time.Unix(1, 0))
	_, err = l.Accept()
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	// Output:
	// 0 true 127.0.0.1
	// true
}

// Datagrams come as connections: each one packet, and the way back.
func ExampleDatagramListener() {
	l, err := sock.Listen(context.Background(), "udp", port.Spec{Host: "127.0.0.1", Port: "0", Proto: "udp", IPv: "4"}, sock.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	client, err := net.Dial("udp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	fmt.Fprint(client, "ping")
	c, err := l.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	packet, err := io.ReadAll(c)
	fmt.Printf("%s %v\n", packet, err)
	fmt.Fprint(c, "pong")
	answer := make([]byte, 10)
	m, _ := client.Read(answer)
	fmt.Printf("%s\n", answer[:m])
	// Output:
	// ping <nil>
	// pong
}

// Once is for a server that inetd has started for one connection.
func ExampleOnce() {
	server, client := net.Pipe()
	defer client.Close()
	l := sock.Once(server)
	c, err := l.Accept()
	fmt.Println(c == server, err)
	_, err = l.Accept()
	fmt.Println(err)
	// Output:
	// true <nil>
	// EOF
}
