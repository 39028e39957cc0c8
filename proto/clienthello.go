package proto

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"netserver/internal/hello"
)

// A ClientHello is what a TLS client says first, as far as a server can choose
// by it without decrypting anything.
type ClientHello struct {
	// ServerName is the name of the server that the client asks for, in lower
	// case; "" if it names none. Of a client that encrypts its hello (ECH) it
	// is the outer name, which is the same for many servers.
	ServerName string
	// ALPN are the protocols that the client would speak, in its order.
	ALPN []string
	// Versions are the versions of TLS that the client speaks, in its order,
	// without those that mean nothing (GREASE, RFC 8701).
	Versions []uint16
	// Encrypted tells that the client has encrypted its hello, or would have it
	// look so, as browsers do (RFC 9849).
	Encrypted bool
}

// A Passer is a Handler that takes some clients of TLS ports as they come: their
// bytes, hello included, are the Handler's to read, and no handshake takes
// place. The rules for certificates do not hold for them, those for addresses
// do.
type Passer interface {
	// Passes reports whether there are such clients. The answer must not
	// change.
	Passes() bool
	// PassesThrough reports whether the client of that address is to be passed
	// on undecrypted. It must not wait, and may be called at any time.
	PassesThrough(hello *ClientHello, from netip.Addr) bool
}

// The errors of Handlers whose choice depends on a client's hello.
var (
	// ErrBadHello is wrapped by the error for a client whose hello cannot be
	// read: it is malformed, longer than is waited for, or the client has left
	// in it. Such a client must not be taken for one that sent none.
	ErrBadHello = errors.New("its ClientHello cannot be read")
	// ErrHelloTimeout is wrapped by the error for a client whose hello was not
	// whole in time.
	ErrHelloTimeout = errors.New("its ClientHello was not whole in time")
)

// RefuseHello tells a client whose hello cannot be read so: by the alert
// decode_error. It waits no longer than the connection's write deadline.
func RefuseHello(nc net.Conn) {
	nc.Write([]byte{alertRecord, 3, 1, 0, 2, alertIsFatal, alertDecodeError}) // the connection is over either way
}

var errHello = errors.New("the ClientHello is malformed")

// Types of messages and extensions.
const (
	messageHello      = 1
	extServerName     = 0
	extALPN           = 16
	extVersions       = 43
	extEncryptedHello = 0xfe0d
)

// ParseClientHello reads the ClientHello that records, the first bytes of a
// connection, begin with. It may stand in several records (RFC 8446, section
// 5.1). What follows it is not looked at.
func ParseClientHello(records []byte) (*ClientHello, error) {
	message, need := hello.Message(records)
	if need != 0 || message == nil {
		return nil, errHello
	}
	s := cryptobyte.String(message)
	var body, session, suites, compressions, extensions cryptobyte.String
	var kind uint8
	var version uint16
	if !s.ReadUint8(&kind) || kind != messageHello || !s.ReadUint24LengthPrefixed(&body) ||
		!body.ReadUint16(&version) || !body.Skip(32) || !body.ReadUint8LengthPrefixed(&session) ||
		!body.ReadUint16LengthPrefixed(&suites) || !body.ReadUint8LengthPrefixed(&compressions) {
		return nil, errHello
	}
	h := &ClientHello{Versions: []uint16{version}}
	if body.Empty() {
		return h, nil
	}
	if !body.ReadUint16LengthPrefixed(&extensions) || !body.Empty() {
		return nil, errHello
	}
	var seen seenExtensions
	for !extensions.Empty() {
		var id uint16
		var data cryptobyte.String
		if !extensions.ReadUint16(&id) || !extensions.ReadUint16LengthPrefixed(&data) || seen.again(id) || !h.extension(id, data) {
			return nil, errHello
		}
	}
	return h, nil
}

// seenExtensions are the extensions of a hello so far: of those that clients send
// without a map, which would cost as much as all the rest.
type seenExtensions struct {
	few  [32]uint16
	n    int
	many map[uint16]bool
}

// again reports whether there was one before, and notes it.
func (s *seenExtensions) again(id uint16) bool {
	if slices.Contains(s.few[:s.n], id) || s.many[id] {
		return true
	}
	if s.n < len(s.few) {
		s.few[s.n] = id
		s.n++
		return false
	}
	if s.many == nil {
		s.many = make(map[uint16]bool)
	}
	s.many[id] = true
	return false
}

// extension takes one extension, and reports whether it is well-formed.
func (h *ClientHello) extension(id uint16, data cryptobyte.String) bool {
	switch id {
	case extServerName:
		return h.serverName(data)
	case extALPN:
		var list cryptobyte.String
		if !data.ReadUint16LengthPrefixed(&list) || list.Empty() || !data.Empty() {
			return false
		}
		for !list.Empty() {
			var name cryptobyte.String
			if !list.ReadUint8LengthPrefixed(&name) || name.Empty() {
				return false
			}
			h.ALPN = append(h.ALPN, string(name))
		}
	case extVersions:
		var list cryptobyte.String
		if !data.ReadUint8LengthPrefixed(&list) || list.Empty() || !data.Empty() {
			return false
		}
		h.Versions = h.Versions[:0]
		for !list.Empty() {
			var v uint16
			if !list.ReadUint16(&v) {
				return false
			}
			if v>>8 != v&0xff || v&0x0f != 0x0a {
				h.Versions = append(h.Versions, v)
			}
		}
	case extEncryptedHello:
		h.Encrypted = true
	}
	return true
}

// serverName reads the extension of RFC 6066: one host name. Longer ones than
// DNS has, and ones with other bytes than printable ASCII, are refused: nobody
// has a route for them, and they would get into logs.
func (h *ClientHello) serverName(data cryptobyte.String) bool {
	var list, name cryptobyte.String
	var kind uint8
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() ||
		!list.ReadUint8(&kind) || kind != 0 || !list.ReadUint16LengthPrefixed(&name) || !list.Empty() {
		return false
	}
	if len(name) == 0 || len(name) > 255 {
		return false
	}
	b := make([]byte, len(name))
	for i, c := range name {
		switch {
		case c <= ' ' || c >= 0x7f:
			return false
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		b[i] = c
	}
	if len(b) > 1 && b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	h.ServerName = string(b)
	return true
}
