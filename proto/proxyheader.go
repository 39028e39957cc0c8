package proto

import (
	"encoding/binary"
	"iter"
	"net"
)

// A ProxyHeader is what a PROXY protocol header (versions 1 and 2) says of the
// client that its sender forwards. Texts and bytes in it are the sender's own:
// they are not checked, and as good as the sender.
type ProxyHeader struct {
	// Version is 1 or 2.
	Version int
	// Local is set where the sender speaks for itself, as in a health check
	// (LOCAL), or does not know whom it speaks for (UNKNOWN, AF_UNSPEC). Then
	// nothing else is set.
	Local bool
	// Source is the client: a *net.TCPAddr, *net.UDPAddr or *net.UnixAddr.
	Source net.Addr
	// Destination is what the client connected to, an address of Source's type.
	Destination net.Addr

	tlvs []byte // checked
}

// The types of the entries that version 2 defines, of those of two vendors, and
// of our own, ProxyTLVHops.
const (
	ProxyTLVALPN      = 0x01
	ProxyTLVAuthority = 0x02
	ProxyTLVCRC32C    = 0x03
	ProxyTLVNoop      = 0x04
	ProxyTLVUniqueID  = 0x05
	ProxyTLVSSL       = 0x20
	ProxyTLVNetNS     = 0x30
	ProxyTLVHops      = 0xE5
	ProxyTLVAWS       = 0xEA
	ProxyTLVAzure     = 0xEE
)

// The vendors' first bytes before an endpoint's id.
const (
	awsVPCEndpoint   = 0x01
	azurePrivateLink = 0x01
)

// TLVs yields the entries of a version 2 header, type and value, in their
// order. A value must not be changed.
func (h *ProxyHeader) TLVs() iter.Seq2[byte, []byte] { return tlvs(h.tlvs) }

// TLV returns the value of the first entry of a type, and whether there is one.
func (h *ProxyHeader) TLV(kind byte) (value []byte, ok bool) { return findTLV(h.tlvs, kind) }

// ALPN returns the protocol that the client agreed on with the sender; empty
// if none is told.
func (h *ProxyHeader) ALPN() string { return h.text(ProxyTLVALPN) }

// Authority returns the name that the client asked the sender for (SNI, as a
// rule); empty if none is told.
func (h *ProxyHeader) Authority() string { return h.text(ProxyTLVAuthority) }

// NetNS returns the name of the client's network namespace at the sender;
// empty if none is told.
func (h *ProxyHeader) NetNS() string { return h.text(ProxyTLVNetNS) }

// UniqueID returns the sender's id of the connection, nil if none is told.
func (h *ProxyHeader) UniqueID() []byte {
	v, _ := h.TLV(ProxyTLVUniqueID)
	return v
}

// VPCEndpoint returns the id of the AWS VPC endpoint that the client came by,
// as it stands in the header; nil if none is told.
func (h *ProxyHeader) VPCEndpoint() []byte { return h.vendor(ProxyTLVAWS, awsVPCEndpoint) }

// PrivateLink returns the id of the Azure private endpoint that the client
// came by, as it stands in the header: four bytes, the lowest first. It is nil
// if none is told.
func (h *ProxyHeader) PrivateLink() []byte { return h.vendor(ProxyTLVAzure, azurePrivateLink) }

// hopsMark is what our own entry begins with: others may use its type too.
const hopsMark = "netserver"

// Hops returns how many servers of this program have passed the header on, each
// with AddHops.
func (h *ProxyHeader) Hops() int {
	hops := 0
	for k, v := range h.TLVs() {
		if k == ProxyTLVHops && len(v) == len(hopsMark)+1 && string(v[:len(hopsMark)]) == hopsMark {
			hops = max(hops, int(v[len(hopsMark)]))
		}
	}
	return hops
}

func (h *ProxyHeader) text(kind byte) string {
	v, _ := h.TLV(kind)
	return string(v)
}

// vendor returns what follows the first byte of the first such entry.
func (h *ProxyHeader) vendor(kind, sub byte) []byte {
	for k, v := range h.TLVs() {
		if k == kind && len(v) > 0 && v[0] == sub {
			return v[1:]
		}
	}
	return nil
}

const tlvFixed = 3 // a type and a length

// tlvs yields the entries of b, up to one that is cut short.
func tlvs(b []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for len(b) >= tlvFixed {
			end := tlvFixed + int(binary.BigEndian.Uint16(b[1:]))
			if end > len(b) || !yield(b[0], b[tlvFixed:end:end]) {
				return
			}
			b = b[end:]
		}
	}
}

func findTLV(b []byte, kind byte) (value []byte, ok bool) {
	for k, v := range tlvs(b) {
		if k == kind {
			return v, true
		}
	}
	return nil, false
}

// wholeTLVs reports whether b is entries and nothing else.
func wholeTLVs(b []byte) bool {
	n := 0
	for _, v := range tlvs(b) {
		n += tlvFixed + len(v)
	}
	return n == len(b)
}
