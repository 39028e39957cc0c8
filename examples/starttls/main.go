// Command starttls is a mail server that takes messages only under TLS, which
// its clients start with STARTTLS (RFC 3207), and throws them away.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"netserver"
	"netserver/port"
)

const maxMessage = 1 << 20 // bytes

// serve is one client's conversation. That the client has gone is the next
// read's error, so those of writes are left aside.
func serve(ctx context.Context, c *netserver.Conn) error {
	c.EndReadsOnDrain()
	say := func(answer string) { fmt.Fprint(c, answer, "\r\n") }
	say("220 localhost ESMTP")
	sender, recipients := "", 0
	for {
		line, err := c.ReadLine()
		if errors.Is(err, netserver.ErrDraining) {
			say("421 closing")
		}
		if err != nil {
			return err
		}
		verb, arg, _ := strings.Cut(string(line), " ")
		verb = strings.ToUpper(verb)
		answer := "250 ok"
		switch {
		case verb == "QUIT":
			say("221 bye")
			return nil
		case verb == "EHLO" && c.TLS() == nil:
			answer = "250-localhost\r\n250 STARTTLS"
		case verb == "EHLO" || verb == "HELO" || verb == "RSET":
			sender, recipients = "", 0
		case verb == "NOOP":
		case verb == "STARTTLS" && c.TLS() == nil:
			// What the client has sent beyond the command makes StartTLS fail.
			say("220 go ahead")
			if err := c.StartTLS(ctx); err != nil {
				return err
			}
			log.Printf("client %d: %s", c.ID(), tls.VersionName(c.TLS().Version))
			continue
		case c.TLS() == nil:
			answer = "530 5.7.0 Must issue a STARTTLS command first"
		case verb == "MAIL" && sender == "":
			sender = arg
		case verb == "RCPT" && sender != "":
			recipients++
		case verb == "DATA" && recipients > 0:
			say("354 go on, end with a dot")
			size, err := message(c)
			if err != nil {
				return err
			}
			log.Printf("client %d: %d bytes to %d recipients", c.ID(), size, recipients)
			sender, recipients, answer = "", 0, "250 thrown away"
		default:
			answer = "503 not now"
		}
		say(answer)
	}
}

// message reads a message up to its single dot.
func message(c *netserver.Conn) (size int, err error) {
	for size <= maxMessage {
		line, err := c.ReadLine()
		if err != nil || string(line) == "." {
			return size, err
		}
		size += len(line) + 2
	}
	fmt.Fprint(c, "552 too long\r\n")
	return size, errors.New("message too long")
}

func main() {
	s := &netserver.Server{Handler: netserver.StartsTLS(netserver.HandlerFunc(serve))}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "2525", Proto: "ssl"}}
	s.Config.TLS.StartPlain = true // SSL_startHandshake 0: clients begin without TLS
	s.Config.Timeouts.Idle = 5 * time.Minute
	flag.Func("port", "port to listen on (default: 127.0.0.1:2525/ssl)", port.Flag(&s.Config.Ports))
	flag.StringVar(&s.Config.TLS.CertFile, "cert", "", "file of certificate and key (default: a certificate made in memory, on loopback)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.ListenAndServe(ctx); err != nil {
		log.Fatal(err)
	}
}
