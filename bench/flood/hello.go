package flood

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A client says hello with its own bytes and not with crypto/tls, because an
// attacker saves what it can: one key share for all its connections, no look
// at the certificate, and no more of a handshake than hurts.
type client struct{ key *ecdh.PrivateKey }

func newClient() (*client, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	return &client{key}, err
}

// The parts of TLS 1.3 that are needed here (RFC 8446).
const (
	recordHandshake = 22
	recordData      = 23
	typeClientHello = 1
	typeServerHello = 2
	typeFinished    = 20

	extGroups     = 10
	extSignatures = 13
	extVersions   = 43
	extKeyShare   = 51

	groupX25519      = 0x001d
	suiteAES128GCM   = 0x1301
	recordHeaderSize = 5
	maxRecord        = 1<<14 + 256
)

// hello returns a ClientHello that every TLS 1.3 server takes, as a record.
func (c *client) hello() []byte {
	var b bytes.Buffer
	put := func(v ...byte) { b.Write(v) }
	put16 := func(v int) { b.Write(binary.BigEndian.AppendUint16(nil, uint16(v))) }
	put(3, 3)
	b.Write(random(32)) // random
	put(32)
	b.Write(random(32)) // session id, as middle boxes like it
	put16(2)
	put16(suiteAES128GCM)
	put(1, 0) // no compression

	var ext bytes.Buffer
	add := func(typ int, body ...byte) {
		ext.Write(binary.BigEndian.AppendUint16(nil, uint16(typ)))
		ext.Write(binary.BigEndian.AppendUint16(nil, uint16(len(body))))
		ext.Write(body)
	}
	add(extVersions, 2, 3, 4)
	add(extGroups, 0, 2, 0, groupX25519)
	add(extSignatures, 0, 6, 4, 3 /* ECDSA P-256 */, 8, 4 /* RSA-PSS */, 8, 7 /* Ed25519 */)
	share := append([]byte{0, 36, 0, groupX25519, 0, 32}, c.key.PublicKey().Bytes()...)
	add(extKeyShare, share...)
	put16(ext.Len())
	b.Write(ext.Bytes())
	return record(recordHandshake, message(typeClientHello, b.Bytes()))
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func message(typ byte, body []byte) []byte {
	n := len(body)
	return append([]byte{typ, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func record(typ byte, body []byte) []byte {
	return append([]byte{typ, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
}

var errNotServerHello = errors.New("the answer is no ServerHello with an X25519 share")

// readServerHello reads the first record of the answer, and returns the
// message in it and the server's share.
func readServerHello(r io.Reader) (msg, share []byte, err error) {
	var h [recordHeaderSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, nil, err
	}
	n := int(binary.BigEndian.Uint16(h[3:]))
	if h[0] != recordHandshake || n > maxRecord {
		return nil, nil, fmt.Errorf("a record of type %d with %d bytes: %w", h[0], n, errNotServerHello)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, nil, err
	}
	return parseServerHello(body)
}

// parseServerHello finds the message and the share in a record's body.
func parseServerHello(b []byte) (msg, share []byte, err error) {
	p := parser{b: b}
	if p.number(1) != typeServerHello {
		return nil, nil, errNotServerHello
	}
	n := p.number(3)
	body := parser{b: p.take(n)}
	if p.bad {
		return nil, nil, errNotServerHello
	}
	msg = b[:4+n]
	body.take(2 + 32) // version, random
	body.take(body.number(1))
	body.take(2 + 1) // suite, compression
	ext := parser{b: body.take(body.number(2))}
	for !ext.bad && len(ext.b) > 0 {
		typ := ext.number(2)
		one := parser{b: ext.take(ext.number(2))}
		if typ == extKeyShare && one.number(2) == groupX25519 {
			share = one.take(one.number(2))
		}
	}
	if body.bad || ext.bad || len(share) != 32 {
		return nil, nil, errNotServerHello
	}
	return msg, share, nil
}

// A parser takes bytes from b until there are too few; then it is bad.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) take(n int) []byte {
	if p.bad || n > len(p.b) {
		p.bad = true
		return nil
	}
	v := p.b[:n]
	p.b = p.b[n:]
	return v
}

func (p *parser) number(n int) int {
	v := 0
	for _, b := range p.take(n) {
		v = v<<8 | int(b)
	}
	return v
}
