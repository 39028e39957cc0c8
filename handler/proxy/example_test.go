package proxy_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"netserver"
	"netserver/handler/proxy"
)

// What clients say goes to a backend, and its answers come back; the server's
// ports may speak TLS where the backend does not.
func Example() {
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer backend.Close()
	go func() {
		c, err := backend.Accept()
		if err != nil {
			log.Print(err)
			return
		}
		defer c.Close()
		fmt.Fprintln(c, "hello from the backend")
	}()

	s := &netserver.Server{Handler: &proxy.Handler{Target: backend.Addr().String()}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(context.Background(), l)
	defer s.Close()

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	io.Copy(os.Stdout, c)
	// Output:
	// hello from the backend
}

// Targets learn who the client is, and of its TLS.
func ExampleHeader() {
	backend := &proxy.Backend{
		Targets: []proxy.Target{{Address: "10.0.0.5:80"}, {Address: "10.0.0.6:80"}},
		Header:  proxy.Header{Version: 2, TLVs: proxy.TLVSSL | proxy.TLVCN | proxy.TLVAuthority}.Append,
	}
	h := &proxy.Handler{Backend: backend}
	fmt.Println(h.Check())
	// Output: <nil>
}
