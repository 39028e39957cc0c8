package proto

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"
)

func tcpAddr(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
func udpAddr(s string) net.Addr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func unixAddr(network, name string) net.Addr { return &net.UnixAddr{Net: network, Name: name} }

// raw6 is ends in IPv6, from port 7 to port 443.
func raw6(src, dst string) string {
	a, b := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
	return string(a[:]) + string(b[:]) + "\x00\x07\x01\xbb"
}

func TestProxyHeaderIsWritten(t *testing.T) {
	const unknown = "PROXY UNKNOWN\r\n"
	for _, tc := range []struct {
		name     string
		src, dst net.Addr
		v1, v2   string // v1 "" is an error
	}{
		{"TCP4", tcpAddr("192.0.2.1:7"), tcpAddr("198.51.100.2:443"), v1tcp, v2(0x21, 0x11, addr4)},
		{"TCP6", tcpAddr("[2001:db8::1]:7"), tcpAddr("[2001:db8::2]:443"), "PROXY TCP6 2001:db8::1 2001:db8::2 7 443\r\n", v2(0x21, 0x21, addr6)},
		{"mapped", tcpAddr("[::ffff:192.0.2.1]:7"), tcpAddr("198.51.100.2:443"), v1tcp, v2(0x21, 0x11, addr4)},
		{"mixed", tcpAddr("192.0.2.1:7"), tcpAddr("[2001:db8::2]:443"), "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 7 443\r\n",
			v2(0x21, 0x21, raw6("::ffff:192.0.2.1", "2001:db8::2"))},
		{"mixed destination", tcpAddr("[2001:db8::1]:7"), tcpAddr("198.51.100.2:443"), "PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 7 443\r\n",
			v2(0x21, 0x21, raw6("2001:db8::1", "::ffff:198.51.100.2"))},
		{"zone", tcpAddr("[fe80::1%eth0]:7"), tcpAddr("[fe80::2%eth0]:443"), "PROXY TCP6 fe80::1 fe80::2 7 443\r\n", v2(0x21, 0x21, raw6("fe80::1", "fe80::2"))},
		{"longest", tcpAddr("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"), tcpAddr("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
			"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", v2(0x21, 0x21, strings.Repeat("\xff", 36))},
		{"UDP4", udpAddr("192.0.2.1:7"), udpAddr("198.51.100.2:443"), "", v2(0x21, 0x12, addr4)},
		{"UDP6", udpAddr("[2001:db8::1]:7"), udpAddr("[2001:db8::2]:443"), "", v2(0x21, 0x22, addr6)},
		{"UDP to any", udpAddr("192.0.2.1:7"), udpAddr("[::]:443"), "", v2(0x21, 0x12, "\xc0\x00\x02\x01\x00\x00\x00\x00\x00\x07\x01\xbb")},
		{"UNIX", unixAddr("unix", "/run/client"), unixAddr("unix", "@abstract"), unknown, v2(0x21, 0x31, addrUnix)},
		{"UNIX without names", unixAddr("unix", ""), unixAddr("unix", ""), unknown, v2(0x21, 0x31, strings.Repeat("\x00", 216))},
		{"UNIX datagram", unixAddr("unixgram", "/run/client"), unixAddr("unixgram", "@abstract"), "", v2(0x21, 0x32, addrUnix)},
		{"UNIX name too long", unixAddr("unix", strings.Repeat("x", 109)), unixAddr("unix", "/s"), unknown, v2(0x20, 0x00, "")},
		{"two kinds", tcpAddr("192.0.2.1:7"), unixAddr("unix", "/run/s"), unknown, v2(0x20, 0x00, "")},
		{"TCP and UDP", tcpAddr("192.0.2.1:7"), udpAddr("192.0.2.1:7"), unknown, v2(0x20, 0x00, "")},
		{"no address", &net.TCPAddr{}, &net.TCPAddr{}, unknown, v2(0x20, 0x00, "")},
		{"nil", nil, nil, unknown, v2(0x20, 0x00, "")},
	} {
		for version, want := range map[int]string{1: tc.v1, 2: tc.v2} {
			h := &ProxyHeader{Version: version, Source: tc.src, Destination: tc.dst}
			b, err := h.AppendTo([]byte("before"))
			got, ok := strings.CutPrefix(string(b), "before")
			switch {
			case !ok || got != want:
				t.Errorf("%s: version %d: %q, want %q", tc.name, version, b, want)
			case want == "" && (err == nil || err.Error() != "version 1 has no form for datagrams"), want != "" && err != nil:
				t.Errorf("%s: version %d: %v", tc.name, version, err)
			}
		}
	}
	local := &ProxyHeader{Version: 2, Local: true, Source: tcpAddr("192.0.2.1:7"), Destination: tcpAddr("192.0.2.1:7")}
	if b, err := local.AppendTo(nil); string(b) != v2(0x20, 0x00, "") || err != nil {
		t.Errorf("LOCAL: %q, %v", b, err)
	}
	local.Version = 1
	if b, err := local.AppendTo(nil); string(b) != unknown || err != nil {
		t.Errorf("UNKNOWN: %q, %v", b, err)
	}
	local.Version = 3
	if b, err := local.AppendTo([]byte("x")); string(b) != "x" || err == nil {
		t.Errorf("version 3: %q, %v", b, err)
	}
}

// outOfAll is a header with one entry of each type.
func outOfAll(t *testing.T) *ProxyHeader {
	h := &ProxyHeader{Version: 2, Source: tcpAddr("192.0.2.1:7"), Destination: tcpAddr("198.51.100.2:443")}
	add := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add(h.AddTLV(ProxyTLVCRC32C, make([]byte, 4)))
	add(h.AddTLV(ProxyTLVALPN, []byte("h2")))
	add(h.AddTLV(ProxyTLVAuthority, []byte("example.org")))
	add(h.AddTLV(ProxyTLVUniqueID, []byte("id")))
	add(h.AddSSL(&ProxySSL{TLS: true, Certificate: true, Verified: true, Version: "TLSv1.3", CN: "client", Cipher: "AES", Group: "x25519", ClientCert: []byte("DER")}))
	add(h.AddHops(3))
	return h
}

func TestProxyHeaderEntriesAreWritten(t *testing.T) {
	b, err := outOfAll(t).AppendTo([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	b = b[len("before"):]
	sum := string(b[28+3 : 28+7])
	want := v2(0x21, 0x11, addr4+tlv(ProxyTLVCRC32C, sum)+tlv(ProxyTLVALPN, "h2")+tlv(ProxyTLVAuthority, "example.org")+tlv(ProxyTLVUniqueID, "id")+
		tlv(ProxyTLVSSL, "\x07\x00\x00\x00\x00"+tlv(0x21, "TLSv1.3")+tlv(0x22, "client")+tlv(0x23, "AES")+tlv(0x26, "x25519")+tlv(0x28, "DER"))+
		tlv(ProxyTLVHops, "netserver\x03"))
	if string(b) != want {
		t.Fatalf("%q\nwant %q", b, want)
	}
	h := mustRead(t, string(b)) // with its checksum
	if h.Hops() != 3 || h.SSL().Group != "x25519" || string(h.SSL().ClientCert) != "DER" {
		t.Errorf("%+v, %d hops", h.SSL(), h.Hops())
	}
	h = &ProxyHeader{Version: 2}
	for _, n := range []int{0, 3, 1} {
		if err := h.AddHops(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.AddTLV(ProxyTLVHops, []byte("another's\x09")); err != nil || h.Hops() != 3 {
		t.Errorf("%v, %d hops of several", err, h.Hops())
	}
	theirs, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	tlvs, err := theirs.TLVs()
	if err != nil || len(tlvs) != 6 {
		t.Fatalf("go-proxyproto: %v, %v", tlvs, err)
	}
	ssl, ok := tlvparse.FindSSL(tlvs)
	cn, _ := ssl.ClientCN()
	version, _ := ssl.SSLVersion()
	if !ok || !ssl.ClientSSL() || !ssl.Verified() || cn != "client" || version != "TLSv1.3" {
		t.Errorf("go-proxyproto: %+v", ssl)
	}
}

// Without a certificate, or with one that is not verified, the field must not be
// 0: receivers look at it alone.
func TestProxyHeaderVerifiedIsOnlyWhatIs(t *testing.T) {
	for want, s := range map[string]ProxySSL{
		"\x00\x00\x00\x00\x01": {},
		"\x01\x00\x00\x00\x01": {TLS: true, Verified: true},
		"\x07\x00\x00\x00\x01": {TLS: true, Certificate: true},
		"\x07\x00\x00\x00\x00": {TLS: true, Certificate: true, Verified: true},
		"\x05\x00\x00\x00\x00": {TLS: true, Certificate: true, Verified: true, Resumed: true},
	} {
		h := &ProxyHeader{Version: 2}
		if err := h.AddSSL(&s); err != nil {
			t.Fatal(err)
		}
		if v, _ := h.TLV(ProxyTLVSSL); string(v) != want {
			t.Errorf("%+v: %x", s, v)
		}
	}
}

func TestProxyHeaderThatIsTooLong(t *testing.T) {
	h := &ProxyHeader{Version: 2, Source: tcpAddr("192.0.2.1:7"), Destination: tcpAddr("198.51.100.2:443")}
	for _, n := range []int{1 << 16, 65533} {
		if err := h.AddTLV(0xE0, make([]byte, n)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("that of the type 0xe0 has %d", n)) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := h.AddSSL(&ProxySSL{ClientCert: make([]byte, 65530)}); err == nil || !strings.Contains(err.Error(), "type 0x28") {
		t.Errorf("certificate: %v", err)
	}
	if err := h.AddTLV(ProxyTLVUniqueID, make([]byte, 129)); err == nil || err.Error() != "a UNIQUE_ID of 129 bytes, of 128 that are allowed" {
		t.Errorf("id: %v", err)
	}
	if _, ok := h.TLV(0xE0); ok {
		t.Error("it is there all the same")
	}
	if err := h.AddTLV(0xE0, make([]byte, 65532)); err != nil {
		t.Fatal(err)
	}
	if b, err := h.AppendTo(nil); err == nil || len(b) > 0 || err.Error() != "the PROXY header would have 65547 bytes, of 65535 that it may have" {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	h = &ProxyHeader{Version: 2, Source: h.Source, Destination: h.Destination}
	if err := h.AddTLV(0xE0, make([]byte, 65535-12-3)); err != nil {
		t.Fatal(err)
	}
	if b, err := h.AppendTo(nil); len(b) != 65535+16 || err != nil {
		t.Errorf("the longest: %d bytes, %v", len(b), err)
	}
}

func TestProxySSLOfAConnection(t *testing.T) {
	cert := &x509.Certificate{Raw: []byte("DER"), Subject: pkix.Name{CommonName: "client"}}
	chains := [][]*x509.Certificate{{cert}}
	for _, tc := range []struct {
		state tls.ConnectionState
		want  ProxySSL
	}{
		{tls.ConnectionState{Version: tls.VersionTLS10, CipherSuite: tls.TLS_RSA_WITH_AES_128_CBC_SHA},
			ProxySSL{TLS: true, Version: "TLSv1", Cipher: "AES128-SHA"}},
		{tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, CurveID: tls.CurveP256},
			ProxySSL{TLS: true, Version: "TLSv1.2", Cipher: "ECDHE-RSA-AES128-GCM-SHA256", Group: "secp256r1"}},
		{tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519MLKEM768, PeerCertificates: []*x509.Certificate{cert}},
			ProxySSL{TLS: true, Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Group: "X25519MLKEM768", Certificate: true, ClientCert: []byte("DER")}},
		{tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, CurveID: tls.X25519, PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: chains, DidResume: true},
			ProxySSL{TLS: true, Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Group: "x25519", Certificate: true, Resumed: true, Verified: true, CN: "client", ClientCert: []byte("DER")}},
	} {
		if got := ProxySSLOf(&tc.state); !reflect.DeepEqual(*got, tc.want) {
			t.Errorf("%+v\nwant %+v", *got, tc.want)
		}
	}
}

// FuzzProxyHeaderWritten writes a header of any facts, which is read again as
// they were, here and by go-proxyproto.
func FuzzProxyHeaderWritten(f *testing.F) {
	f.Add(byte(0), []byte("\xc0\x00\x02\x01"), []byte("\xc6\x33\x64\x02"), uint16(7), uint16(443), byte(0xE1), []byte("value"), "CN", "cipher")
	f.Add(byte(5), make([]byte, 16), []byte("\xc6\x33\x64\x02"), uint16(0), uint16(65535), byte(ProxyTLVCRC32C), []byte("1234"), "", "")
	f.Add(byte(6), []byte("/run/s"), []byte("@x"), uint16(0), uint16(0), byte(ProxyTLVSSL), []byte("value"), "", "")
	f.Fuzz(func(t *testing.T, kind byte, from, to []byte, fromPort, toPort uint16, typ byte, value []byte, cn, cipher string) {
		h := &ProxyHeader{Version: 2}
		switch kind % 8 {
		case 0, 1, 2, 3:
			h.Source, h.Destination = &net.TCPAddr{IP: from, Port: int(fromPort)}, &net.TCPAddr{IP: to, Port: int(toPort)}
		case 4, 5:
			h.Source, h.Destination = &net.UDPAddr{IP: from, Port: int(fromPort)}, &net.UDPAddr{IP: to, Port: int(toPort)}
		case 6:
			h.Source, h.Destination = unixAddr("unix", string(from)), unixAddr("unix", string(to))
		case 7:
			h.Source, h.Destination = unixAddr("unixgram", string(from)), unixAddr("unixgram", string(to))
		}
		ssl := &ProxySSL{TLS: kind&8 != 0, Certificate: kind&16 != 0, Resumed: kind&48 == 48, Verified: kind&80 == 80, CN: cn, Cipher: cipher}
		err := cmp.Or(h.AddSSL(ssl), h.AddTLV(typ, value), h.AddTLV(ProxyTLVCRC32C, make([]byte, 4)))
		if err != nil {
			return
		}
		b, err := h.AppendTo(nil)
		if err != nil || len(h.tlvs) > proxyV2TLVs {
			return
		}
		c := &bytesConn{r: bytes.NewReader(b)}
		got, err := ReadProxyHeader(c)
		if typ == ProxyTLVSSL || typ == ProxyTLVCRC32C {
			return // two of a type: whether that is good
		}
		if err != nil || c.r.Len() > 0 {
			t.Fatalf("%q: %v", b, err)
		}
		e := h.ends()
		if got.Local != (e.family == v2Unspec) {
			t.Fatalf("%v to %v: %+v", h.Source, h.Destination, got)
		}
		if got.Local {
			return
		}
		if again := got.ends(); e.family != v2Unix && again != e {
			t.Fatalf("%+v; read %+v", e, again)
		}
		if s := got.SSL(); !reflect.DeepEqual(s, ssl) {
			t.Fatalf("%+v; read %+v", ssl, s)
		}
		if v, ok := got.TLV(typ); !ok || !bytes.Equal(v, value) {
			t.Fatalf("%q; read %q", value, v)
		}
		theirs, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), 1<<17))
		if err != nil {
			t.Fatalf("go-proxyproto: %q: %v", b, err)
		}
		if e.family != v2Unix && (theirs.SourceAddr.String() != got.Source.String() || theirs.DestinationAddr.String() != got.Destination.String()) {
			t.Fatalf("%v to %v; go-proxyproto %v to %v", got.Source, got.Destination, theirs.SourceAddr, theirs.DestinationAddr)
		}
	})
}
