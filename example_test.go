package netserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"time"

	"netserver"
	"netserver/outcome"
	"netserver/port"
)

// A handler serves the clients of all ports, whatever they speak.
func Example() {
	s := &netserver.Server{
		Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
			for {
				line, err := c.ReadLine()
				if err != nil {
					return err
				}
				fmt.Fprintf(c, "%s\r\n", line)
			}
		}),
	}
	var err error
	s.Config.Ports, err = port.Parse("443/ssl, 80/tcp, 53/udp, /run/echo.sock|unix", port.Defaults{})
	if err != nil {
		log.Fatal(err)
	}
	s.Config.TLS.CertFile = "/etc/ssl/server.pem"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.ListenAndServe(ctx); err != nil {
		log.Fatal(err)
	}
}

// Shutdown is that of net/http.
func ExampleServer_Shutdown() {
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		_, err := c.WriteTo(c)
		return err
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		<-interrupted.Done()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			s.Close() // whoever is left is cut
		}
	}()
	if err := s.ListenAndServe(context.Background()); !errors.Is(err, netserver.ErrServerClosed) {
		log.Fatal(err)
	}
	<-done
}

// A client that waits for its next command is told when the server drains.
func ExampleConn_EndReadsOnDrain() {
	drained := make(chan struct{})
	s := &netserver.Server{Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
		c.EndReadsOnDrain()
		fmt.Fprintln(c, "220 hello")
		for {
			line, err := c.ReadLine()
			if errors.Is(err, netserver.ErrDraining) {
				fmt.Fprintln(c, "421 goodbye")
				return nil
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c, "250 %s\n", line)
		}
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, drain := context.WithCancel(context.Background())
	go func() {
		defer close(drained)
		s.Serve(ctx, l)
	}()

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	in := bufio.NewScanner(c)
	in.Scan()
	fmt.Println(in.Text())
	drain()
	for in.Scan() {
		fmt.Println(in.Text())
	}
	<-drained
	// Output:
	// 220 hello
	// 421 goodbye
}

// A Monitor tells who is connected, and a Record what became of a client.
func ExampleServer_Monitor() {
	s := &netserver.Server{
		Handler: netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}),
		Hooks: netserver.Hooks{Closed: func(c *netserver.Conn, r netserver.Record) {
			if r.Outcome == outcome.Killed {
				fmt.Println("client", r.ID, "ended:", r.Outcome)
			}
		}},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(context.Background(), l)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	m := s.Monitor()
	var clients []netserver.Record
	for len(clients) == 0 || clients[0].Stage != netserver.StageHandler {
		clients = m.Clients(0, 10)
	}
	fmt.Println("clients:", len(clients))
	m.Kill(clients[0].ID)
	s.Shutdown(context.Background())
	// Output:
	// clients: 1
	// client 1 ended: killed
}
