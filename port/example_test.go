package port_test

import (
	"context"
	"fmt"

	"netserver/conf"
	"netserver/port"
)

// One text can mean one or two sockets. Nothing is looked up.
func ExampleParse() {
	for _, text := range []string{"443/ssl", "localhost:53/udp/IPv4/IPv6", "/run/app.sock|unix"} {
		specs, err := port.Parse(text, port.Defaults{})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, s := range specs {
			fmt.Println(s, s.Network())
		}
	}
	_, err := port.Parse("20000-20010", port.Defaults{})
	fmt.Println(err)
	// Output:
	// *:443/ssl/IPv* tcp
	// localhost:53/udp/IPv6 udp6
	// localhost:53/udp/IPv4 udp4
	// /run/app.sock|unix unix
	// Could not determine port number from host [*]:20000-20010: list each port of a range separately
}

// Resolve pairs the lists of a configuration by position; the last protocol
// applies to all further ports.
func ExampleResolve() {
	texts := func(s ...string) []conf.Value {
		v := conf.Values{}
		v.Set("x", s...)
		return v["x"]
	}
	specs, _, err := port.Resolve(context.Background(), port.Input{
		Ports:  port.Texts(texts("127.0.0.1:80", "127.0.0.1:443", "[::1]:443")),
		Protos: texts("tcp", "ssl"),
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range specs {
		fmt.Println(s)
	}
	// Output:
	// 127.0.0.1:80/tcp/IPv4
	// 127.0.0.1:443/ssl/IPv4
	// [::1]:443/ssl/IPv6
}
