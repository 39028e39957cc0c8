package proto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

// v2 writes a version 2 header.
func v2(command, family byte, rest string) string {
	return proxyV2Sign + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	addr4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x00\x07\x01\xbb" // 192.0.2.1:7 198.51.100.2:443
	v1tcp = "PROXY TCP4 192.0.2.1 198.51.100.2 7 443\r\n"
)

var (
	addr6    = "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x02" + "\x00\x07\x01\xbb"
	addrUnix = pad("/run/client", 108) + pad("\x00abstract", 108)
)

func pad(s string, n int) string { return s + strings.Repeat("\x00", n-len(s)) }

// summed puts the right CRC32C into a header that ends in an empty one.
func summed(header string) string {
	b := []byte(header)
	binary.BigEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return string(b)
}

var goodHeaders = []struct{ name, header, want string }{
	{"v1 TCP4", v1tcp, "tcp 192.0.2.1:7 tcp 198.51.100.2:443"},
	{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 7 443\r\n", "tcp [2001:db8::1]:7 tcp [2001:db8::2]:443"},
	{"v1 longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"tcp [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 tcp [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"v1 TCP6 mapped", "PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 7 443\r\n", "tcp [2001:db8::1]:7 tcp 198.51.100.2:443"},
	{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", "local"},
	{"v1 UNKNOWN longest", "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "local"},
	{"v2 TCP4", v2(0x21, 0x11, addr4), "tcp 192.0.2.1:7 tcp 198.51.100.2:443"},
	{"v2 UDP4", v2(0x21, 0x12, addr4), "udp 192.0.2.1:7 udp 198.51.100.2:443"},
	{"v2 TCP6", v2(0x21, 0x21, addr6), "tcp [2001:db8::1]:7 tcp [2001:db8::2]:443"},
	{"v2 UNIX", v2(0x21, 0x31, addrUnix), "unix /run/client unix @abstract"},
	{"v2 LOCAL", v2(0x20, 0x00, ""), "local"},
	{"v2 LOCAL with anything", v2(0x20, 0x77, "anything"), "local"},
	{"v2 UNSPEC", v2(0x21, 0x00, tlv(ProxyTLVNoop, "")), "local"},
	{"v2 checksum", summed(v2(0x21, 0x11, addr4+tlv(ProxyTLVALPN, "h2")+tlv(ProxyTLVCRC32C, "\x00\x00\x00\x00"))), "tcp 192.0.2.1:7 tcp 198.51.100.2:443"},
	{"v2 longest id", v2(0x21, 0x11, addr4+tlv(ProxyTLVUniqueID, strings.Repeat("x", 128))), "tcp 192.0.2.1:7 tcp 198.51.100.2:443"},
	{"v2 longest", v2(0x21, 0x31, addrUnix+tlv(0xE0, strings.Repeat("x", proxyV2TLVs-tlvFixed))), "unix /run/client unix @abstract"},
}

var badHeaders = []struct{ name, header, want string }{
	{"garbage", "\x16\x03\x01garbage", ErrNoProxyHeader.Error()},
	{"PROXYX", "PROXYX TCP4 192.0.2.1", ErrNoProxyHeader.Error()},
	{"v1 no end", "PROXY TCP4 " + strings.Repeat("1", 200), "no end within 107 bytes"},
	{"v1 one too long", "PROXY UNKNOWN " + strings.Repeat("1", 92) + "\r\n", "no end within 107 bytes"},
	{"v1 LF alone", "PROXY TCP4 192.0.2.1 198.51.100.2 7 443\n", "no CR"},
	{"v1 UNKNOWNX", "PROXY UNKNOWNX\r\n", "not PROXY TCP4"},
	{"v1 tab", "PROXY TCP4\t192.0.2.1 198.51.100.2 7 443\r\n", "not PROXY TCP4"},
	{"v1 two spaces", "PROXY TCP4  192.0.2.1 198.51.100.2 7 443\r\n", "not PROXY TCP4"},
	{"v1 family", "PROXY TCP4 2001:db8::1 2001:db8::2 7 443\r\n", "TCP4 with the source 2001:db8::1"},
	{"v1 family 6", "PROXY TCP6 192.0.2.1 2001:db8::2 7 443\r\n", "TCP6 with the source"},
	{"v1 destination 4", "PROXY TCP6 2001:db8::1 198.51.100.2 7 443\r\n", "TCP6 with the destination 198.51.100.2"},
	{"v1 destination 6", "PROXY TCP4 192.0.2.1 2001:db8::2 7 443\r\n", "TCP4 with the destination 2001:db8::2"},
	{"v1 zone", "PROXY TCP6 fe80::1%eth0 2001:db8::2 7 443\r\n", "is no address"},
	{"v1 port", "PROXY TCP4 192.0.2.1 198.51.100.2 7 65536\r\n", "is no port"},
	{"v1 port 0 first", "PROXY TCP4 192.0.2.1 198.51.100.2 07 443\r\n", "is no port"},
	{"v1 port sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +7 443\r\n", "is no port"},
	{"v1 NUL", "PROXY TCP4 192.0.2.1\x00 198.51.100.2 7 443\r\n", "is no address"},
	{"v2 version", v2(0x11, 0x11, addr4), "version 1"},
	{"v2 command", v2(0x22, 0x11, addr4), "command 2"},
	{"v2 family", v2(0x21, 0x41, addr4), "family and transport 0x41"},
	{"v2 transport", v2(0x21, 0x13, addr4), "family and transport 0x13"},
	{"v2 short", v2(0x21, 0x21, addr4), "12 bytes, of 36"},
	{"v2 long", v2(0x21, 0x11, addr4+strings.Repeat("x", proxyV2TLVs+1)), "16385 bytes of TLVs, of 16384"},
	{"v2 LOCAL long", v2(0x20, 0x00, strings.Repeat("x", proxyV2TLVs+1)), "16385 bytes of TLVs, of 16384"},
	{"v2 checksum", v2(0x21, 0x11, addr4+tlv(ProxyTLVCRC32C, "\x01\x02\x03\x04")), "the header says 01020304"},
	{"v2 checksum length", v2(0x21, 0x11, addr4+tlv(ProxyTLVCRC32C, "\x01\x02\x03")), "malformed CRC32C"},
	{"v2 TLV cut", v2(0x21, 0x11, addr4+"\x01\x00"), "a TLV is cut short"},
	{"v2 TLV beyond", v2(0x21, 0x11, addr4+"\x01\x00\x09short"), "a TLV is cut short"},
	{"v2 SSL cut", v2(0x21, 0x11, addr4+tlv(ProxyTLVSSL, "\x01\x00\x00")), "the SSL TLV is cut short"},
	{"v2 SSL entry cut", v2(0x21, 0x11, addr4+tlv(ProxyTLVSSL, "\x01\x00\x00\x00\x00\x22\x00\x09x")), "the SSL TLV is cut short"},
	{"v2 id", v2(0x21, 0x11, addr4+tlv(ProxyTLVUniqueID, strings.Repeat("x", 129))), "UNIQUE_ID of 129 bytes"},
}

func told(h *ProxyHeader) string {
	if h.Local {
		return "local"
	}
	return fmt.Sprintf("%s %v %s %v", h.Source.Network(), h.Source, h.Destination.Network(), h.Destination)
}

// pairs are connections of all kinds: what one end sends the other reads.
func pairs(t *testing.T) map[string]func() (send, recv net.Conn) {
	over := func(network, addr string) func() (net.Conn, net.Conn) {
		return func() (net.Conn, net.Conn) {
			l, err := net.Listen(network, addr)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			a, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			b, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return a, b
		}
	}
	dir, err := os.MkdirTemp("", "ns")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return map[string]func() (net.Conn, net.Conn){
		"tcp":  over("tcp", "127.0.0.1:0"),
		"unix": over("unix", filepath.Join(dir, "s")),
		"pipe": func() (net.Conn, net.Conn) { return net.Pipe() },
	}
}

// each runs f for each kind of connection, for bytes that come all at once and
// one by one, with and without a look before.
func each(t *testing.T, f func(t *testing.T, exchange func(sent string) (h *ProxyHeader, rest string, err error))) {
	for kind, pair := range pairs(t) {
		for _, step := range []int{1, 1 << 20} {
			for _, look := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s by %d, look %v", kind, step, look), func(t *testing.T) {
					f(t, func(sent string) (*ProxyHeader, string, error) { return exchange(t, pair, sent, step, look) })
				})
			}
		}
	}
}

func exchange(t *testing.T, pair func() (net.Conn, net.Conn), sent string, step int, look bool) (*ProxyHeader, string, error) {
	t.Helper()
	a, b := pair()
	defer a.Close()
	defer b.Close()
	b.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		defer a.Close()
		for s := sent; s != ""; s = s[min(step, len(s)):] {
			if _, err := io.WriteString(a, s[:min(step, len(s))]); err != nil {
				return
			}
		}
	}()
	if look {
		b = Peekable(b)
		if match, err := PeekProxyHeader(b); err != nil || match != ProxyFound {
			rest, _ := io.ReadAll(b)
			return nil, string(rest), errors.Join(ErrNoProxyHeader, err)
		}
	}
	h, err := ReadProxyHeader(b)
	rest, _ := io.ReadAll(b)
	return h, string(rest), err
}

func TestProxyHeaderIsReadExactly(t *testing.T) {
	const payload = "\x16\x03\x01payload\r\nPROXY TCP4 9.9.9.9 9.9.9.9 9 9\r\n"
	each(t, func(t *testing.T, exchange func(string) (*ProxyHeader, string, error)) {
		for _, tc := range goodHeaders {
			h, rest, err := exchange(tc.header + payload)
			if err != nil || rest != payload {
				t.Errorf("%s: %v; left: %q", tc.name, err, rest)
				continue
			}
			if got := told(h); got != tc.want || fmt.Sprint("v", h.Version) != tc.name[:2] {
				t.Errorf("%s: v%d %s, want %s", tc.name, h.Version, got, tc.want)
			}
		}
	})
}

func TestBadProxyHeadersAreRefused(t *testing.T) {
	each(t, func(t *testing.T, exchange func(string) (*ProxyHeader, string, error)) {
		for _, tc := range badHeaders {
			if h, _, err := exchange(tc.header); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %+v, %v; want %s", tc.name, h, err, tc.want)
			}
		}
		for _, tc := range goodHeaders {
			if h, _, err := exchange(tc.header[:len(tc.header)-1]); err != io.ErrUnexpectedEOF {
				t.Errorf("%s without its last byte: %+v, %v", tc.name, h, err)
			}
		}
	})
}

// A client that leaves without a word is not one that leaves within a header.
func TestProxyHeaderOfNothing(t *testing.T) {
	each(t, func(t *testing.T, exchange func(string) (*ProxyHeader, string, error)) {
		if h, _, err := exchange(""); h != nil || err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%+v, %v", h, err)
		}
	})
	if _, err := ReadProxyHeader(&bytesConn{r: bytes.NewReader(nil)}); err != io.EOF {
		t.Errorf("%v, want io.EOF", err)
	}
}

func TestProxyHeaderLookTakesNothing(t *testing.T) {
	for kind, pair := range pairs(t) {
		for _, sent := range []string{"", "GET / HTTP/1.0\r\n\r\n", "\r\n\r\nEHLO x\r\n", "PROX\r\n"} {
			h, rest, err := exchange(t, pair, sent, 3, true)
			if h != nil || rest != sent || err == nil {
				t.Errorf("%s, %q: %v, %v; left: %q", kind, sent, h, err, rest)
			}
		}
	}
}

func TestProxyHeaderTLVs(t *testing.T) {
	ssl := "\x07\x00\x00\x00\x00" + tlv(sslVersion, "TLSv1.3") + tlv(sslCN, "client") + tlv(sslCipher, "AES") + tlv(sslSigAlg, "SHA256") + tlv(sslKeyAlg, "RSA2048") + tlv(sslGroup, "x25519") + tlv(sslSigScheme, "ed25519") + tlv(sslClientCert, "\x30\x00")
	header := v2(0x21, 0x11, addr4+tlv(ProxyTLVALPN, "h2")+tlv(ProxyTLVAuthority, "example.org")+tlv(ProxyTLVNoop, "xx")+
		tlv(ProxyTLVUniqueID, "id")+tlv(ProxyTLVSSL, ssl)+tlv(ProxyTLVNetNS, "blue")+
		tlv(ProxyTLVAWS, "\x02other")+tlv(ProxyTLVAWS, "\x01vpce-1")+tlv(ProxyTLVAzure, "\x01\x01\x02\x03\x04"))
	h := mustRead(t, header)
	got := fmt.Sprintf("%s %s %s %s %s %x %+v", h.ALPN(), h.Authority(), h.UniqueID(), h.NetNS(), h.VPCEndpoint(), h.PrivateLink(), *h.SSL())
	want := "h2 example.org id blue vpce-1 01020304 {TLS:true Certificate:true Resumed:false Verified:true Version:TLSv1.3 CN:client Cipher:AES SigAlg:SHA256 KeyAlg:RSA2048 Group:x25519 SigScheme:ed25519 ClientCert:[48 0]}"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	n := 0
	for range h.TLVs() {
		n++
	}
	if n != 9 {
		t.Errorf("%d TLVs", n)
	}
	bare := mustRead(t, v2(0x21, 0x11, addr4))
	if bare.SSL() != nil || bare.UniqueID() != nil || bare.VPCEndpoint() != nil || bare.ALPN() != "" {
		t.Errorf("%+v", bare)
	}
}

// Senders write that all is well for a client that showed no certificate.
func TestProxyHeaderNoCertificateIsNotVerified(t *testing.T) {
	for flags, want := range map[string]ProxySSL{
		"\x01\x00\x00\x00\x00": {TLS: true},
		"\x03\x00\x00\x00\x00": {TLS: true, Certificate: true, Verified: true},
		"\x05\x00\x00\x00\x00": {TLS: true, Certificate: true, Resumed: true, Verified: true},
		"\x03\x00\x00\x00\x12": {TLS: true, Certificate: true},
		"\x00\x00\x00\x00\x00": {},
	} {
		if s := mustRead(t, v2(0x21, 0x11, addr4+tlv(ProxyTLVSSL, flags))).SSL(); !reflect.DeepEqual(*s, want) {
			t.Errorf("%x: %+v", flags, *s)
		}
	}
}

func mustRead(t *testing.T, header string) *ProxyHeader {
	t.Helper()
	h, err := ReadProxyHeader(&bytesConn{r: bytes.NewReader([]byte(header))})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A bytesConn has what it has, and ends.
type bytesConn struct {
	net.Conn
	r *bytes.Reader
}

func (c *bytesConn) Read(b []byte) (int, error) { return c.r.Read(b) }
