// Command starttls is a mail server that takes messages only under TLS, which
// its clients start with STARTTLS (RFC 3207), and throws them away.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"strings"
	"time"

	"netserver"
	"netserver/port"
)

const (
	maxMessage = 1 << 20 // bytes
	maxErrors  = 10      // commands that make no sense, before the client is left
)

// A session is one client's conversation.
type session struct {
	*netserver.Conn
	sender string
	to     int // recipients
	errors int
}

func serve(ctx context.Context, c *netserver.Conn) error {
	s := &session{Conn: c}
	c.EndReadsOnDrain()
	if err := s.say("220 localhost ESMTP"); err != nil {
		return err
	}
	for {
		line, err := c.ReadLine()
		if errors.Is(err, netserver.ErrDraining) {
			s.say("421 closing")
		}
		if err != nil {
			return err
		}
		verb, arg, _ := strings.Cut(string(line), " ")
		if err := s.command(ctx, strings.ToUpper(verb), arg); err != nil {
			return err
		}
	}
}

func (s *session) say(format string, args ...any) error {
	_, err := fmt.Fprintf(s, format+"\r\n", args...)
	return err
}

// refuse answers a command that is out of place; too many end the client.
func (s *session) refuse(answer string) error {
	if s.errors++; s.errors > maxErrors {
		s.say("421 too many errors")
		return errors.New("too many errors")
	}
	return s.say("%s", answer)
}

func (s *session) command(ctx context.Context, verb, arg string) error {
	switch verb {
	case "EHLO":
		extensions := fmt.Sprintf("250-localhost\r\n250-SIZE %d\r\n", maxMessage)
		if s.TLS() == nil {
			extensions += "250-STARTTLS\r\n"
		}
		return s.say(extensions + "250 HELP")
	case "HELO", "NOOP", "RSET":
		s.sender, s.to = "", 0
		return s.say("250 ok")
	case "STARTTLS":
		return s.startTLS(ctx)
	case "QUIT":
		s.say("221 bye")
		return io.EOF
	case "HELP":
		return s.say("214 EHLO STARTTLS MAIL RCPT DATA RSET NOOP QUIT")
	}
	if s.TLS() == nil {
		return s.refuse("530 5.7.0 Must issue a STARTTLS command first")
	}
	switch {
	case verb == "MAIL" && s.sender == "":
		s.sender = arg
		return s.say("250 ok")
	case verb == "RCPT" && s.sender != "":
		s.to++
		return s.say("250 ok")
	case verb == "DATA" && s.to > 0:
		return s.data()
	}
	return s.refuse("503 not now")
}

// startTLS agrees and shakes hands. What the client has said before counts no
// more; anything that it sent behind the command makes StartTLS fail.
func (s *session) startTLS(ctx context.Context) error {
	if s.TLS() != nil {
		return s.refuse("503 TLS is there already")
	}
	if err := s.say("220 go ahead"); err != nil {
		return err
	}
	if err := s.StartTLS(ctx); err != nil {
		return err
	}
	s.sender, s.to, s.errors = "", 0, 0
	t := s.TLS()
	log.Printf("client %d: %s, %s", s.ID(), tls.VersionName(t.Version), tls.CipherSuiteName(t.CipherSuite))
	return nil
}

// data reads a message up to its single dot.
func (s *session) data() error {
	if err := s.say("354 go on, end with a dot"); err != nil {
		return err
	}
	for size := 0; ; {
		line, err := s.ReadLine()
		switch {
		case err != nil:
			return err
		case string(line) == ".":
			log.Printf("client %d: %d bytes to %d recipients", s.ID(), size, s.to)
			s.sender, s.to = "", 0
			return s.say("250 thrown away")
		}
		if size += len(line) + 2; size > maxMessage {
			s.say("552 too long")
			return errors.New("message too long")
		}
	}
}

func main() {
	listen := flag.String("port", "127.0.0.1:2525/ssl", "port to listen on")
	s := &netserver.Server{Handler: netserver.StartsTLS(netserver.HandlerFunc(serve))}
	flag.StringVar(&s.Config.TLS.CertFile, "cert", "", "file of certificate and key (default: a certificate made in memory, on loopback)")
	flag.Parse()
	ports, err := port.Parse(*listen, port.Defaults{})
	if err != nil {
		log.Fatal(err)
	}
	s.Config.Ports = ports
	s.Config.TLS.StartPlain = true // SSL_startHandshake 0: clients begin without TLS
	s.Config.Timeouts.Idle = 5 * time.Minute
	log.Fatal(s.ListenAndServe(context.Background()))
}
