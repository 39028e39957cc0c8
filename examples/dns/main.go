// Command dns answers questions for the addresses of names (RFC 1035), over UDP
// and TCP with one handler.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"strings"

	"netserver"
	"netserver/port"
)

// zone has the addresses of names, which end in a dot and are in lower case.
type zone map[string][]netip.Addr

// Serve answers one datagram, or the questions of a connection, each of which
// has its length before it.
func (z zone) Serve(_ context.Context, c *netserver.Conn) error {
	if c.Datagram() {
		q, err := io.ReadAll(c)
		if err != nil {
			return err
		}
		return say(c, nil, z.answer(q))
	}
	for {
		var size uint16
		if err := binary.Read(c, binary.BigEndian, &size); err != nil {
			return err
		}
		q := make([]byte, size)
		if _, err := io.ReadFull(c, q); err != nil {
			return err
		}
		a := z.answer(q)
		if err := say(c, binary.BigEndian.AppendUint16(nil, uint16(len(a))), a); err != nil {
			return err
		}
	}
}

// say writes an answer, unless there is none.
func say(w io.Writer, size, a []byte) error {
	if a == nil {
		return errors.New("not a question")
	}
	_, err := w.Write(append(size, a...))
	return err
}

const (
	header                  = 12 // bytes
	formatError, noSuchName = 1, 3
	notImplemented          = 4
	typeA, typeAAAA         = 1, 28
	ttl                     = 60 // seconds
)

// answer returns the answer to a message, or nil if it is no question.
func (z zone) answer(q []byte) []byte {
	if len(q) < header || q[2]&0x80 != 0 {
		return nil
	}
	a := append([]byte{q[0], q[1], 0x84 | q[2]&0x79, 0}, make([]byte, 8)...) // an authority's answer
	name, end := question(q)
	switch {
	case q[2]&0x78 != 0:
		a[3] = notImplemented
		return a
	case end == 0 || binary.BigEndian.Uint16(q[4:]) != 1:
		a[3] = formatError
		return a
	}
	a[5] = 1 // question
	a = append(a, q[header:end]...)
	addrs, ok := z[name]
	if !ok {
		a[3] = noSuchName
	}
	kind := binary.BigEndian.Uint16(q[end-4:])
	for _, ip := range addrs {
		if kind == typeA && ip.Is4() || kind == typeAAAA && ip.Is6() {
			a[7]++                      // answers
			a = append(a, 0xc0, header) // the name of the question
			a = append(a, q[end-4:end]...)
			a = binary.BigEndian.AppendUint32(a, ttl)
			a = binary.BigEndian.AppendUint16(a, uint16(len(ip.AsSlice())))
			a = append(a, ip.AsSlice()...)
		}
	}
	return a
}

// question returns the name that a message asks for and where the question
// ends, which is 0 if it is malformed.
func question(q []byte) (name string, end int) {
	for i := header; i < len(q); {
		n := int(q[i])
		i++
		switch {
		case n == 0 && i+4 <= len(q):
			return strings.ToLower(name), i + 4
		case n == 0 || n > 63 || i+n > len(q) || len(name)+n > 253:
			return "", 0
		}
		name += string(q[i:i+n]) + "."
		i += n
	}
	return "", 0
}

// add takes an address for a name, as NAME=ADDRESS.
func (z zone) add(text string) error {
	name, address, _ := strings.Cut(text, "=")
	ip, err := netip.ParseAddr(address)
	name = strings.ToLower(strings.TrimSuffix(name, ".")) + "."
	z[name] = append(z[name], ip)
	return err
}

func main() {
	z := make(zone)
	s := &netserver.Server{Handler: z}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "5300", Proto: "udp"}, {Host: "127.0.0.1", Port: "5300", Proto: "tcp"}}
	flag.Func("port", "port to listen on, each time the flag is given (default: 127.0.0.1:5300, UDP and TCP)", port.Flag(&s.Config.Ports))
	flag.Func("host", "NAME=ADDRESS, each time the flag is given", z.add)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.ListenAndServe(ctx); err != nil {
		log.Fatal(err)
	}
}
