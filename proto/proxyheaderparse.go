package proto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The parser is our own because go-proxyproto's needs a bufio.Reader, which
// takes more from the socket than the header; it refuses a version 1 header
// that comes in two packets, does not check CRC32C, and has its limits in
// variables that any package of a program can change. The tests compare the
// two.

const (
	proxyV1Max  = 107      // bytes of the longest version 1 header, with its end
	proxyV2Head = 16       // bytes of a version 2 header before addresses and TLVs
	proxyV2TLVs = 16 << 10 // a client's certificate may be among them
)

// The beginnings of headers. Neither is the beginning of the other.
const (
	proxyV1Sign = "PROXY "
	proxyV2Sign = "\r\n\r\n\x00\r\nQUIT\n"
)

// parseProxyV1 reads a line without its end.
func parseProxyV1(line string) (*ProxyHeader, error) {
	h := &ProxyHeader{Version: 1}
	f := strings.Split(line, " ")
	if len(f) >= 2 && f[0] == "PROXY" && f[1] == "UNKNOWN" {
		h.Local = true // whatever follows is to be ignored
		return h, nil
	}
	if len(f) != 6 || f[0] != "PROXY" || f[1] != "TCP4" && f[1] != "TCP6" {
		return nil, errors.New("not PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT")
	}
	src, err := parseProxyAddr(f[2], f[4])
	if err != nil {
		return nil, err
	}
	if src.Addr().Is4() != (f[1] == "TCP4") {
		return nil, fmt.Errorf("%s with the source %s", f[1], src.Addr())
	}
	// nginx writes a destination of the other family where real_ip has
	// changed the source. The specification has no such header, and no way
	// to tell it from one that somebody has put together.
	dst, err := parseProxyAddr(f[3], f[5])
	if err != nil {
		return nil, err
	}
	if dst.Addr().Is4() != (f[1] == "TCP4") {
		return nil, fmt.Errorf("%s with the destination %s", f[1], dst.Addr())
	}
	h.Source, h.Destination = net.TCPAddrFromAddrPort(src), net.TCPAddrFromAddrPort(dst)
	return h, nil
}

func parseProxyAddr(addr, port string) (netip.AddrPort, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%q is no address", addr)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return netip.AddrPort{}, fmt.Errorf("%q is no port number", port)
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// A proxyV2 is the fixed part of a version 2 header.
type proxyV2 struct {
	local  bool
	family byte
	addrs  int // bytes of addresses
	length int // bytes of addresses and TLVs
}

// parseProxyV2Head reads the first proxyV2Head bytes.
func parseProxyV2Head(b []byte) (v proxyV2, err error) {
	version, command := b[12]>>4, b[12]&0xF
	v.family, v.length = b[13], int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case version != 2:
		return v, fmt.Errorf("version %d", version)
	case command > 1:
		return v, fmt.Errorf("command %d", command)
	}
	v.local = command == 0 || v.family == 0
	switch v.family >> 4 {
	case 1:
		v.addrs = 2*4 + 4
	case 2:
		v.addrs = 2*16 + 4
	case 3:
		v.addrs = 2 * 108
	}
	if !v.local && (v.addrs == 0 || v.family&0xF != 1 && v.family&0xF != 2) {
		return v, fmt.Errorf("family and transport 0x%02x", v.family)
	}
	if !v.local && v.length < v.addrs {
		return v, fmt.Errorf("%d bytes, of %d that its addresses have", v.length, v.addrs)
	}
	if n := v.length - v.addrs; n > proxyV2TLVs {
		return v, fmt.Errorf("%d bytes of TLVs, of %d that are read", n, proxyV2TLVs)
	}
	return v, nil
}

// parseProxyV2 reads a whole header, of which it keeps b if it has TLVs.
func parseProxyV2(v proxyV2, b []byte) (*ProxyHeader, error) {
	h := &ProxyHeader{Version: 2, Local: v.local}
	if v.local {
		return h, nil // the rest is to be thrown away, whatever it is
	}
	addrs, tlvs := b[proxyV2Head:proxyV2Head+v.addrs], b[proxyV2Head+v.addrs:]
	if err := checkTLVs(b, tlvs); err != nil {
		return nil, err
	}
	h.Source, h.Destination = v.addresses(addrs)
	if len(tlvs) > 0 {
		h.tlvs = tlvs
	}
	return h, nil
}

func (v proxyV2) addresses(b []byte) (src, dst net.Addr) {
	stream := v.family&0xF == 1
	if v.family>>4 == 3 {
		network := "unix"
		if !stream {
			network = "unixgram"
		}
		return &net.UnixAddr{Net: network, Name: unixName(b[:108])}, &net.UnixAddr{Net: network, Name: unixName(b[108:])}
	}
	n := (len(b) - 4) / 2
	one := func(ip, port []byte) net.Addr {
		a, _ := netip.AddrFromSlice(ip)
		ap := netip.AddrPortFrom(a, binary.BigEndian.Uint16(port))
		if stream {
			return net.TCPAddrFromAddrPort(ap)
		}
		return net.UDPAddrFromAddrPort(ap)
	}
	return one(b[:n], b[2*n:]), one(b[n:2*n], b[2*n+2:])
}

// unixName reads sun_path; @ stands for the zero byte that an abstract name
// begins with.
func unixName(b []byte) string {
	if b[0] == 0 {
		if b = bytes.TrimRight(b[1:], "\x00"); len(b) > 0 {
			return "@" + string(b)
		}
		return ""
	}
	name, _, _ := bytes.Cut(b, []byte{0})
	return string(name)
}

var errMalformedCRC32C = errors.New("a malformed CRC32C")

// checkTLVs checks the entries of a header, and with CRC32C all its bytes.
func checkTLVs(header, tlvBytes []byte) error {
	if !wholeTLVs(tlvBytes) {
		return errors.New("a TLV is cut short")
	}
	checked := false
	for kind, v := range tlvs(tlvBytes) {
		switch kind {
		case ProxyTLVSSL:
			if len(v) < sslFixed || !wholeTLVs(v[sslFixed:]) {
				return errors.New("the SSL TLV is cut short")
			}
		case ProxyTLVUniqueID:
			if len(v) > maxUniqueID {
				return uniqueIDError(len(v))
			}
		case ProxyTLVCRC32C:
			if len(v) != 4 || checked {
				return errMalformedCRC32C
			}
			checked = true
			if err := checkCRC32C(header, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkCRC32C compares sum, a part of header, with that of header, where sum
// counts as zero.
func checkCRC32C(header, sum []byte) error {
	told := binary.BigEndian.Uint32(sum)
	clear(sum)
	found := crc32.Checksum(header, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(sum, told)
	if found != told {
		return fmt.Errorf("CRC32C is %08x, and the header says %08x", found, told)
	}
	return nil
}
