// Command sum serves TCP connections and UDP datagrams with one handler. A
// question is a line such as "sum 1 2 3"; a connection may ask many.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"strconv"
	"strings"

	"netserver"
	"netserver/port"
)

func serve(_ context.Context, c *netserver.Conn) error {
	for {
		line, err := c.ReadLine() // a datagram is a line, too
		if err != nil {
			return err
		}
		sum, err := answer(string(line))
		if err != nil {
			return err // and no answer, so that two servers never talk to each other
		}
		if _, err := fmt.Fprintln(c, sum); err != nil || c.Datagram() {
			return err // one answer a datagram: its sender may be forged
		}
	}
}

func answer(line string) (sum int, err error) {
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != "sum" {
		return 0, fmt.Errorf("not a question: %.40q", line)
	}
	for _, w := range words[1:] {
		n, err := strconv.Atoi(w)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func main() {
	listen := flag.String("port", "127.0.0.1:20203", "port to listen on, TCP and UDP")
	flag.Parse()
	s := &netserver.Server{Handler: netserver.HandlerFunc(serve)}
	for _, proto := range []string{"tcp", "udp"} {
		ports, err := port.Parse(*listen, port.Defaults{Proto: proto})
		if err != nil {
			log.Fatal(err)
		}
		s.Config.Ports = append(s.Config.Ports, ports...)
	}
	log.Fatal(s.ListenAndServe(context.Background()))
}
