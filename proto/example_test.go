package proto_test

import (
	"context"
	"fmt"
	"net"

	"netserver/conf"
	"netserver/port"
	"netserver/proto"
)

// A Protocol checks the parameters of its port when it makes the Transport, so
// that a mistake stops the start.
func ExampleProtocol() {
	p := port.Spec{Host: "*", Port: "25", Proto: "tcp", Params: conf.Values{}}
	p.Params.Set("SSL_cert_file", "/etc/mail.pem")
	_, err := proto.TCP(p)
	fmt.Println(err)
	// Output:
	// port 25/tcp: SSL_cert_file was given, but the port is tcp and not ssl: remove the key, or write /ssl (code)
}

// upper is a Transport of one's own: it stands between the socket and the
// handler.
type upper struct{}

func (upper) Network() string { return "tcp" }

func (upper) Ready(_ context.Context, nc net.Conn) (net.Conn, error) { return shouting{nc}, nil }

// shouting is what the handler reads and writes.
type shouting struct{ net.Conn }

// NetConn makes it a proto.Layer.
func (s shouting) NetConn() net.Conn { return s.Conn }

// Given to a server as Server.Protocols["upper"], this is spoken on ports that
// name it: 2525/upper.
func ExampleTransport() {
	var p proto.Protocol = func(port.Spec) (proto.Transport, error) { return upper{}, nil }
	t, _ := p(port.Spec{Port: "2525", Proto: "upper"})
	a, b := net.Pipe()
	defer b.Close()
	nc, err := t.Ready(context.Background(), a)
	_, layer := nc.(proto.Layer)
	fmt.Println(t.Network(), err, layer, proto.Socket(nc) == a)
	// Output:
	// tcp <nil> true true
}

func ExampleReadProxyHeader() {
	proxy, server := net.Pipe()
	go fmt.Fprint(proxy, "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\nhello")
	h, err := proto.ReadProxyHeader(server)
	if err != nil {
		fmt.Println(err)
		return
	}
	rest := make([]byte, 5)
	server.Read(rest)
	fmt.Printf("from %v to %v, and then %q\n", h.Source, h.Destination, rest)
	// Output:
	// from 192.0.2.7:40000 to 198.51.100.1:443, and then "hello"
}
