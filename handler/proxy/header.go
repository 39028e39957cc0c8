package proxy

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"netserver"
	"netserver/proto"
)

// A Header says which PROXY header targets get in front of each connection, and
// in front of each datagram. Its Append is for Backend.Header:
//
//	proxy.Backend{Header: proxy.Header{Version: 2, TLVs: proxy.TLVSSL | proxy.TLVAuthority}.Append}
//
// Source and destination are the client's RemoteAddr and LocalAddr. A connection
// that no client is behind, as that of a health check, has LOCAL, or UNKNOWN in
// version 1.
type Header struct {
	// Version is 1 or 2. Version 1 tells of addresses only, and has no form for
	// datagrams: they end with an error.
	Version int
	// TLVs are what is told beside addresses, if it is known.
	TLVs TLVs
	// Received says what becomes of the header that the client's own connection
	// began with.
	Received Received
}

// TLVs is a set of entries of a PROXY header of version 2.
type TLVs uint16

// The entries that there are.
const (
	// TLVALPN is the protocol that TLS clients have agreed on.
	TLVALPN TLVs = 1 << iota
	// TLVAuthority is the name that TLS clients have asked for (SNI), those too
	// who are passed on undecrypted. What is no name of 1 to 255 printable
	// characters is left out.
	TLVAuthority
	// TLVUniqueID is Conn.UniqueID, which the client's record has then too.
	TLVUniqueID
	// TLVCRC32C is a checksum of the header.
	TLVCRC32C
	// TLVSSL tells of the TLS of clients: its version and cipher, and whether
	// they have shown a certificate and that has been verified. A client without
	// TLS has none.
	TLVSSL
	// TLVCN is the common name in the client's verified certificate, as a part of
	// TLVSSL, which it includes.
	TLVCN
	// TLVGroup is the group of the key exchange, as a part of TLVSSL, which it
	// includes.
	TLVGroup
	// TLVCert is the client's certificate, verified or not, as a part of TLVSSL,
	// which it includes. One of more than 60 KiB, which may not fit into
	// a header, is left out, as HAProxy leaves out what does not fit.
	TLVCert
)

// tlvNames are the names of TLVs as keys have them, in their order.
var tlvNames = [...]string{"alpn", "authority", "unique_id", "crc32c", "ssl", "cn", "group", "cert"}

// ParseTLV returns the entry called name: alpn, authority, unique_id, crc32c,
// ssl, cn, group or cert.
func ParseTLV(name string) (TLVs, error) {
	i := slices.Index(tlvNames[:], strings.ToLower(name))
	if i < 0 {
		return 0, fmt.Errorf("%s is not known: write %s", printable(name), strings.Join(tlvNames[:], ", "))
	}
	return 1 << i, nil
}

// String returns the names in t.
func (t TLVs) String() string {
	var names []string
	for i, name := range tlvNames {
		if t&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " ")
}

// A Received says what becomes of the PROXY header that a client's connection
// began with. The target is told the addresses in it, Conn.RemoteAddr and
// LocalAddr, whatever it is; or those of its sender, if there are none in it
// (LOCAL, UNKNOWN).
type Received uint8

// What may become of it.
const (
	// MergeReceived keeps its entries, but those of a type that Header.TLVs names
	// and of which something is known here.
	MergeReceived Received = iota
	// PassReceived passes it on as it is, in the version that is set, but with a
	// new checksum if it has one. Header.TLVs are for clients without one.
	PassReceived
	// ReplaceReceived keeps none of its entries.
	ReplaceReceived
)

var receivedNames = [...]string{"merge", "pass", "replace"}

// ParseReceived returns what is called name: merge, pass or replace.
func ParseReceived(name string) (Received, error) {
	i := slices.Index(receivedNames[:], strings.ToLower(name))
	if i < 0 {
		return 0, fmt.Errorf("%s is not known: write %s", printable(name), strings.Join(receivedNames[:], ", "))
	}
	return Received(i), nil
}

// String returns the name of r.
func (r Received) String() string {
	if int(r) < len(receivedNames) {
		return receivedNames[r]
	}
	return fmt.Sprintf("Received(%d)", uint8(r))
}

// maxHops is how many servers like this one may pass a header on. Version 1 has
// no place for the count.
const maxHops = 8

// Append appends the header for c to b and returns the result. A nil c is a
// connection of our own.
func (o Header) Append(b []byte, c *netserver.Conn) ([]byte, error) {
	if c == nil {
		return (&proto.ProxyHeader{Version: o.Version, Local: true}).AppendTo(b)
	}
	h := &proto.ProxyHeader{Version: o.Version, Source: c.RemoteAddr(), Destination: c.LocalAddr()}
	var err error
	if got := c.ProxyHeader(); o.Version == 2 && got == nil {
		err = o.addOwn(h, c)
	} else if o.Version == 2 {
		err = o.addToReceived(h, got, c)
	}
	if err != nil {
		return b, err
	}
	return h.AppendTo(b)
}

// addToReceived adds to h what there is to tell of a client that came with the
// header got.
func (o Header) addToReceived(h, got *proto.ProxyHeader, c *netserver.Conn) error {
	hops := got.Hops()
	if hops >= maxHops {
		return fmt.Errorf("the client has come through %d servers like this one: their targets lead back to them", hops)
	}
	if o.Received != PassReceived || got.Local {
		if err := o.addOwn(h, c); err != nil {
			return err
		}
	}
	if o.Received != ReplaceReceived {
		own := *h
		for kind, v := range got.TLVs() {
			if kind == proto.ProxyTLVHops && hops > 0 || o.Received != PassReceived && replaces(&own, kind) {
				continue
			}
			if err := h.AddTLV(kind, v); err != nil {
				return err
			}
		}
	}
	return h.AddHops(hops + 1)
}

// replaces reports whether an entry of h, or the lack of one, replaces a received
// one of a type.
func replaces(h *proto.ProxyHeader, kind byte) bool {
	_, ok := h.TLV(kind)
	return ok || kind == proto.ProxyTLVCRC32C || kind == proto.ProxyTLVNoop
}

// addOwn adds to h what is to be told of c, in the order that HAProxy has.
func (o Header) addOwn(h *proto.ProxyHeader, c *netserver.Conn) error {
	var err error
	add := func(which TLVs, kind byte, value string) {
		if err == nil && o.TLVs&which != 0 && value != "" {
			err = h.AddTLV(kind, []byte(value))
		}
	}
	add(TLVCRC32C, proto.ProxyTLVCRC32C, "\x00\x00\x00\x00")
	cs := c.TLS()
	switch hello := c.Hello(); {
	case cs != nil:
		add(TLVALPN, proto.ProxyTLVALPN, cs.NegotiatedProtocol)
		add(TLVAuthority, proto.ProxyTLVAuthority, hostName(cs.ServerName))
	case hello != nil:
		add(TLVAuthority, proto.ProxyTLVAuthority, hostName(hello.ServerName))
	}
	if o.TLVs&TLVUniqueID != 0 {
		id := c.UniqueID()
		add(TLVUniqueID, proto.ProxyTLVUniqueID, id)
		c.Note(slog.String("unique_id", id))
	}
	if o.TLVs&tlvsOfSSL != 0 && cs != nil && err == nil {
		err = o.addSSL(h, proto.ProxySSLOf(cs))
	}
	return err
}

const tlvsOfSSL = TLVSSL | TLVCN | TLVGroup | TLVCert

// addSSL adds what is asked for of s.
func (o Header) addSSL(h *proto.ProxyHeader, s *proto.ProxySSL) error {
	if o.TLVs&TLVCN == 0 {
		s.CN = ""
	}
	if o.TLVs&TLVGroup == 0 {
		s.Group = ""
	}
	if o.TLVs&TLVCert == 0 || len(s.ClientCert) > maxCert {
		s.ClientCert = nil
	}
	return h.AddSSL(s)
}

// maxCert is how long a certificate may be that targets are told: less than a
// header by what may stand beside it.
const maxCert = 60 << 10

// hostName returns name if it can be one.
func hostName(name string) string {
	if len(name) > 255 || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }) {
		return ""
	}
	return name
}
