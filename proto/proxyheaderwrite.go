package proto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"strconv"
)

const (
	proxyV2Longest = 1<<16 - 1 // bytes of addresses and TLVs, by the size of their length
	maxUniqueID    = 128
	unixPath       = 108 // bytes of a socket's path
)

// The command and the families of version 2, and the transports, which are added
// to them.
const (
	v2Local = 0x20
	v2Proxy = 0x21

	v2Unspec = 0x00
	v2Inet   = 0x10
	v2Inet6  = 0x20
	v2Unix   = 0x30

	v2Stream = 0x01
	v2Dgram  = 0x02
)

// AppendTo appends h to b as its sender writes it, before the first byte of a
// connection or before each datagram, and returns the result; with an error it
// returns b.
//
// Of a Local header nothing but that is written: LOCAL, or UNKNOWN in version 1.
// IPv4 addresses are written as such even where they are given as IPv6 ones
// (::ffff:192.0.2.1), but if the other address is of IPv6: then both are written
// as that. Zones are left out. Version 1 has no form for UNIX sockets and says
// UNKNOWN; it has none for datagrams either, which is an error. Of addresses of
// other kinds, and of two that are not of one kind, nothing is told: UNKNOWN, or
// LOCAL before the entries of version 2.
//
// An entry of the type ProxyTLVCRC32C gets the checksum of what is written,
// whatever its value is in h.
func (h *ProxyHeader) AppendTo(b []byte) ([]byte, error) {
	switch h.Version {
	case 1:
		return h.appendV1(b)
	case 2:
		return h.appendV2(b)
	}
	return b, fmt.Errorf("version %d of PROXY headers is not known: there are 1 and 2", h.Version)
}

// AddTLV adds an entry to a header of version 2. It must not be called for one
// that ReadProxyHeader has returned. An error is that the entry is longer than it
// may be.
func (h *ProxyHeader) AddTLV(kind byte, value []byte) error {
	if kind == ProxyTLVUniqueID && len(value) > maxUniqueID {
		return uniqueIDError(len(value))
	}
	b, err := appendTLV(h.tlvs, kind, value)
	if err == nil {
		h.tlvs = b
	}
	return err
}

// AddHops adds the entry that Hops reads. n is at most 255.
func (h *ProxyHeader) AddHops(n int) error {
	return h.AddTLV(ProxyTLVHops, append([]byte(hopsMark), byte(n)))
}

func appendTLV[T string | []byte](b []byte, kind byte, value T) ([]byte, error) {
	if n := len(b) + tlvFixed + len(value); n > proxyV2Longest {
		return b, fmt.Errorf("the PROXY header would have %d bytes of TLVs, of %d that it may have: that of the type 0x%02x has %d",
			n, proxyV2Longest, kind, len(value))
	}
	b = append(b, kind, byte(len(value)>>8), byte(len(value)))
	return append(b, value...), nil
}

func uniqueIDError(n int) error {
	return fmt.Errorf("a UNIQUE_ID of %d bytes, of %d that are allowed", n, maxUniqueID)
}

func (h *ProxyHeader) appendV1(b []byte) ([]byte, error) {
	e := h.ends()
	switch {
	case e.transport == v2Dgram:
		return b, errors.New("version 1 has no form for datagrams")
	case e.family != v2Inet && e.family != v2Inet6:
		return append(b, proxyV1Sign+"UNKNOWN\r\n"...), nil
	case e.family == v2Inet:
		b = append(b, proxyV1Sign+"TCP4 "...)
	default:
		b = append(b, proxyV1Sign+"TCP6 "...)
	}
	b = append(e.src.Addr().AppendTo(b), ' ')
	b = append(e.dst.Addr().AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(e.src.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(e.dst.Port()), 10)
	return append(b, '\r', '\n'), nil
}

func (h *ProxyHeader) appendV2(b []byte) ([]byte, error) {
	begin := len(b)
	b = append(b, proxyV2Sign...)
	e := h.ends()
	switch {
	case h.Local:
		return append(b, v2Local, v2Unspec, 0, 0), nil
	case e.family == v2Unspec:
		// HAProxy, too, does not say PROXY then, and refuses it.
		b = append(b, v2Local, v2Unspec, 0, 0)
	default:
		b = append(b, v2Proxy, e.family|e.transport, 0, 0)
		b = e.appendTo(b)
	}
	tlvs := len(b)
	b = append(b, h.tlvs...)
	length := len(b) - begin - proxyV2Head
	if length > proxyV2Longest {
		return b[:begin], fmt.Errorf("the PROXY header would have %d bytes, of %d that it may have", length, proxyV2Longest)
	}
	binary.BigEndian.PutUint16(b[begin+proxyV2Head-2:], uint16(length))
	if sum, ok := findTLV(b[tlvs:], ProxyTLVCRC32C); ok {
		if len(sum) != crc32.Size {
			return b[:begin], errMalformedCRC32C
		}
		clear(sum)
		binary.BigEndian.PutUint32(sum, crc32.Checksum(b[begin:], crc32.MakeTable(crc32.Castagnoli)))
	}
	return b, nil
}

// proxyEnds are the two addresses of a header as they are written.
type proxyEnds struct {
	family, transport byte
	src, dst          netip.AddrPort // v2Inet, v2Inet6
	from, to          string         // v2Unix
}

// appendTo appends the addresses as version 2 has them.
func (e *proxyEnds) appendTo(b []byte) []byte {
	switch e.family {
	case v2Inet, v2Inet6:
		b = append(b, e.src.Addr().AsSlice()...)
		b = append(b, e.dst.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, e.src.Port())
		b = binary.BigEndian.AppendUint16(b, e.dst.Port())
	case v2Unix:
		b = appendUnixName(b, e.from)
		b = appendUnixName(b, e.to)
	}
	return b
}

// appendUnixName is the contrary of unixName.
func appendUnixName(b []byte, name string) []byte {
	begin := len(b)
	b = append(b, name...)
	b = append(b, make([]byte, unixPath-len(name))...)
	if name != "" && name[0] == '@' {
		b[begin] = 0
	}
	return b
}

// ends returns the addresses of h, zero if they are not known or of no kind that
// a header can tell.
func (h *ProxyHeader) ends() (e proxyEnds) {
	if h.Local {
		return e
	}
	switch src := h.Source.(type) {
	case *net.TCPAddr:
		if dst, ok := h.Destination.(*net.TCPAddr); ok {
			e.inet(v2Stream, src.AddrPort(), dst.AddrPort())
		}
	case *net.UDPAddr:
		if dst, ok := h.Destination.(*net.UDPAddr); ok {
			e.inet(v2Dgram, src.AddrPort(), dst.AddrPort())
		}
	case *net.UnixAddr:
		dst, ok := h.Destination.(*net.UnixAddr)
		if !ok || len(src.Name) > unixPath || len(dst.Name) > unixPath {
			return e
		}
		e.family, e.transport, e.from, e.to = v2Unix, v2Stream, src.Name, dst.Name
		if src.Net == "unixgram" {
			e.transport = v2Dgram
		}
	}
	return e
}

// inet sets two addresses, if they are some.
func (e *proxyEnds) inet(transport byte, src, dst netip.AddrPort) {
	from, to := src.Addr().Unmap().WithZone(""), dst.Addr().Unmap().WithZone("")
	if !from.IsValid() || !to.IsValid() {
		return
	}
	e.family, e.transport = v2Inet, transport
	if to.IsUnspecified() && from.Is4() {
		to = netip.IPv4Unspecified() // of a socket for both families
	}
	if from.Is6() || to.Is6() {
		e.family = v2Inet6
		from, to = netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16())
	}
	e.src, e.dst = netip.AddrPortFrom(from, src.Port()), netip.AddrPortFrom(to, dst.Port())
}
