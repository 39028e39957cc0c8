package proxy_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
	"netserver/port"
	"netserver/proto"
	"netserver/tlsparams"
)

const allTLVs = proxy.TLVALPN | proxy.TLVAuthority | proxy.TLVUniqueID | proxy.TLVCRC32C | proxy.TLVSSL | proxy.TLVCN | proxy.TLVGroup | proxy.TLVCert

// headerOf reads a PROXY header from c.
func headerOf(t testing.TB, c net.Conn) *proto.ProxyHeader {
	t.Helper()
	h, err := proto.ReadProxyHeader(c)
	must(t, err)
	return h
}

// addresses are those of h.
func addresses(h *proto.ProxyHeader) string {
	return fmt.Sprintf("local=%v %v %v", h.Local, h.Source, h.Destination)
}

// kinds are the types of the entries of h.
func kinds(h *proto.ProxyHeader) string {
	var list []string
	for kind := range h.TLVs() {
		list = append(list, fmt.Sprintf("%02x", kind))
	}
	return strings.Join(list, " ")
}

func TestHeaderTellsOfTheClient(t *testing.T) {
	eachPair(t, func(t *testing.T, client, backend string) {
		for _, version := range []int{1, 2} {
			l := listen(t, backend)
			to := handlerTo(t, l)
			to.Header = proxy.Header{Version: version}.Append
			f := serve(t, client, to, netserver.Config{})
			c := f.dial(t)
			over, secured := l.(*tlsListener)
			if secured {
				l = over.TCPListener // the header comes before TLS
			}
			var b net.Conn = accept(t, l)
			h := headerOf(t, b)
			if secured {
				b = tls.Server(b, over.conf)
			}
			want := fmt.Sprintf("local=false %v %v", c.LocalAddr(), c.RemoteAddr())
			switch {
			case client == "unix" && version == 1:
				want = "local=true <nil> <nil>"
			case client == "unix":
				want = fmt.Sprintf("local=false  %v", f.addr) // its end has no name
			}
			if got := addresses(h); got != want || h.Version != version || kinds(h) != "" {
				t.Errorf("version %d: %s, %s; want %s", version, got, kinds(h), want)
			}
			send(t, c, "hello")
			want5 := make([]byte, 5)
			if _, err := io.ReadFull(b, want5); string(want5) != "hello" {
				t.Errorf("then %q, %v", want5, err)
			}
			c.Close()
			b.Close()
			f.record(t)
		}
	})
}

// tlsServer is a server with the certificate of a test authority, that judges
// those of clients.
func tlsServer(t testing.TB, h netserver.Handler, ca *netservertest.Authority, address string) *netserver.Server {
	host, portNumber, err := net.SplitHostPort(address)
	must(t, err)
	pair := ca.Issue(t, netservertest.Leaf{})
	s := &netserver.Server{Handler: h, Log: slog.New(slog.DiscardHandler)}
	s.Config.Ports = []port.Spec{{Host: host, Port: portNumber, Proto: "ssl", IPv: "*"}}
	s.Config.TLS = tlsparams.Params{CertFile: pair.CertFile, KeyFile: pair.KeyFile, ALPN: []string{"h2", "http/1.1"},
		Client: tlsparams.Client{VerifyMode: tlsparams.VerifyOptional, CAFiles: []string{ca.File(t)}}}
	return s
}

func startAt(t testing.TB, kind string, s *netserver.Server) *front {
	ls, err := s.Listen(context.Background())
	must(t, err)
	return serveOn(t, kind, s, ls[0])
}

func TestHeaderTellsOfTLS(t *testing.T) {
	ca := netservertest.NewCA(t, "clients")
	l := listen(t, "tcp")
	f := startAt(t, "tls", tlsServer(t, &proxy.Handler{Target: targetOf(l), Header: proxy.Header{Version: 2, TLVs: allTLVs}.Append}, ca, "127.0.0.1:0"))
	client := ca.Issue(t, netservertest.Leaf{Name: "alice", Client: true})
	sessions := tls.NewLRUClientSessionCache(1)
	ids := make(map[string]bool)
	for _, test := range []struct {
		name  string
		certs []tls.Certificate
		cache tls.ClientSessionCache
		want  string
	}{
		{"no certificate", nil, nil, "TLS=true certificate=false resumed=false verified=false TLSv1.3 X25519MLKEM768 CN= DER=0"},
		{"certificate", []tls.Certificate{client.TLS}, sessions, fmt.Sprintf("TLS=true certificate=true resumed=false verified=true TLSv1.3 X25519MLKEM768 CN=alice DER=%d", len(client.TLS.Certificate[0]))},
		{"resumed", []tls.Certificate{client.TLS}, sessions, fmt.Sprintf("TLS=true certificate=true resumed=true verified=true TLSv1.3 X25519MLKEM768 CN=alice DER=%d", len(client.TLS.Certificate[0]))},
	} {
		nc, err := net.Dial("tcp", f.addr.String())
		must(t, err)
		c := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: "Some.Example", NextProtos: []string{"h2"}, Certificates: test.certs, ClientSessionCache: test.cache})
		must(t, c.Handshake())
		b := accept(t, l)
		h := headerOf(t, b)
		s := h.SSL()
		got := fmt.Sprintf("TLS=%v certificate=%v resumed=%v verified=%v %s %s CN=%s DER=%d", s.TLS, s.Certificate, s.Resumed, s.Verified, s.Version, s.Group, s.CN, len(s.ClientCert))
		if got != test.want || !strings.HasPrefix(s.Cipher, "TLS_") {
			t.Errorf("%s: %s %s\nwant %s", test.name, got, s.Cipher, test.want)
		}
		if h.ALPN() != "h2" || h.Authority() != "Some.Example" || kinds(h) != "03 01 02 05 20" {
			t.Errorf("%s: %q %q %s", test.name, h.ALPN(), h.Authority(), kinds(h))
		}
		// A session ticket comes with the first bytes.
		send(t, b, "x")
		want(t, c, "x")
		nc.Close()
		b.Close()
		id := string(h.UniqueID())
		if r := f.record(t); ids[id] || id == "" || noteOf(r, "unique_id") != id {
			t.Errorf("%s: id %q, record %v", test.name, id, r.Notes)
		}
		ids[id] = true
	}
}

// noteOf is what the Handler has noted.
func noteOf(r netserver.Record, key string) string {
	for _, a := range r.Notes {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

func TestHeaderOfChecksIsLocal(t *testing.T) {
	for version, want := range map[int]string{1: "PROXY UNKNOWN\r\n", 2: "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		l := listen(t, "tcp")
		be := &proxy.Backend{Targets: targetsFor(l), Check: parsed(t, "tcp"), Header: proxy.Header{Version: version, TLVs: allTLVs}.Append}
		frontOf(t, be)
		got, err := io.ReadAll(accept(t, l))
		if string(got) != want || err != nil {
			t.Errorf("version %d: %q, %v", version, got, err)
		}
	}
}

func targetsFor(l net.Listener) []proxy.Target { return []proxy.Target{{Address: targetOf(l)}} }

func TestHeaderBeforeEachDatagram(t *testing.T) {
	b, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer b.Close()
	b.SetDeadline(time.Now().Add(patience))
	f := serve(t, "udp", &proxy.Handler{Target: b.LocalAddr().String(), Header: proxy.Header{Version: 2, TLVs: proxy.TLVCRC32C}.Append}, netserver.Config{})
	c, err := net.Dial("udp", f.addr.String())
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	for i := range 3 {
		send(t, c, fmt.Sprint("datagram ", i))
		buf := make([]byte, 1000)
		n, from, err := b.ReadFrom(buf)
		must(t, err)
		h, payload, err := proxyproto.ParseUDPDatagram(buf[:n])
		must(t, err)
		if h.SourceAddr.String() != c.LocalAddr().String() || h.DestinationAddr.String() != f.addr.String() || h.TransportProtocol != proxyproto.UDPv4 || string(payload) != fmt.Sprint("datagram ", i) {
			t.Errorf("%+v, %q", h, payload)
		}
		_, err = b.WriteTo([]byte("answer"), from)
		must(t, err)
		want(t, c, "answer")
	}
}

// Version 1 has no form for datagrams, and that is no fault of the target.
func TestHeaderOfVersion1HasNoDatagrams(t *testing.T) {
	f := serve(t, "udp", &proxy.Handler{Target: "127.0.0.1:9", Header: proxy.Header{Version: 1}.Append}, netserver.Config{})
	c, err := net.Dial("udp", f.addr.String())
	must(t, err)
	defer c.Close()
	send(t, c, "x")
	if r := f.record(t); r.Err == nil || !strings.HasSuffix(r.Err.Error(), "proxy_to 127.0.0.1:9: PROXY header: version 1 has no form for datagrams") {
		t.Errorf("%v", r.Err)
	}
}

// received is a header as another proxy sends it.
func received(t *testing.T, change func(h *proto.ProxyHeader)) []byte {
	h := &proto.ProxyHeader{Version: 2,
		Source:      net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:7")),
		Destination: net.TCPAddrFromAddrPort(netip.MustParseAddrPort("198.51.100.2:443"))}
	if change != nil {
		change(h)
	}
	b, err := h.AppendTo(nil)
	must(t, err)
	return b
}

// behind puts a proxy behind another, of 127.0.0.1.
func behind(t *testing.T, h *proxy.Handler) *front {
	return serve(t, "tcp", h, netserver.Config{Proxy: netserver.Proxy{Mode: netserver.ProxyRequire, From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}})
}

func TestHeaderThatWasReceived(t *testing.T) {
	const there = "local=false 192.0.2.1:7 198.51.100.2:443"
	rich := received(t, func(h *proto.ProxyHeader) {
		must(t, h.AddTLV(proto.ProxyTLVCRC32C, make([]byte, 4)))
		must(t, h.AddTLV(proto.ProxyTLVUniqueID, []byte("theirs")))
		must(t, h.AddTLV(proto.ProxyTLVNoop, []byte("pad")))
		must(t, h.AddSSL(&proto.ProxySSL{TLS: true, Certificate: true, Verified: true, CN: "alice"}))
		must(t, h.AddTLV(proto.ProxyTLVAWS, []byte("\x01vpce")))
		must(t, h.AddTLV(proto.ProxyTLVAWS, []byte("\x02more")))
	})
	unix := received(t, func(h *proto.ProxyHeader) {
		h.Source, h.Destination = &net.UnixAddr{Net: "unix", Name: "/run/a"}, &net.UnixAddr{Net: "unix", Name: "/run/b"}
	})
	local := received(t, func(h *proto.ProxyHeader) { h.Local = true })
	v1 := "PROXY TCP4 192.0.2.1 198.51.100.2 7 443\r\n"
	for _, test := range []struct {
		name     string
		header   proxy.Header
		received string
		want     string // "" is the real addresses
		kinds    string
		id       string // "" is one of our own, if there is one
	}{
		{"merge", proxy.Header{Version: 2}, string(rich), there, "05 20 ea ea e5", "theirs"},
		{"merge, own id", proxy.Header{Version: 2, TLVs: allTLVs}, string(rich), there, "03 05 20 ea ea e5", ""},
		{"pass", proxy.Header{Version: 2, TLVs: allTLVs, Received: proxy.PassReceived}, string(rich), there, "03 05 04 20 ea ea e5", "theirs"},
		{"replace", proxy.Header{Version: 2, TLVs: allTLVs, Received: proxy.ReplaceReceived}, string(rich), there, "03 05 e5", ""},
		{"replace by nothing", proxy.Header{Version: 2, Received: proxy.ReplaceReceived}, string(rich), there, "e5", ""},
		{"version 1 from 2", proxy.Header{Version: 1}, string(rich), there, "", ""},
		{"version 2 from 1", proxy.Header{Version: 2, Received: proxy.PassReceived}, v1, there, "e5", ""},
		{"version 1 from 1", proxy.Header{Version: 1, Received: proxy.PassReceived}, v1, there, "", ""},
		{"UNIX", proxy.Header{Version: 2}, string(unix), "local=false /run/a /run/b", "e5", ""},
		{"LOCAL", proxy.Header{Version: 2, TLVs: proxy.TLVCRC32C}, string(local), "", "03 e5", ""},
		{"LOCAL passed", proxy.Header{Version: 2, Received: proxy.PassReceived}, string(local), "", "e5", ""},
		{"UNKNOWN", proxy.Header{Version: 1}, "PROXY UNKNOWN\r\n", "", "", ""},
	} {
		l := listen(t, "tcp")
		f := behind(t, &proxy.Handler{Target: targetOf(l), Header: test.header.Append})
		c := f.dial(t)
		send(t, c, test.received+"payload")
		b := accept(t, l)
		h := headerOf(t, b)
		want(t, b, "payload")
		if test.want == "" {
			test.want = fmt.Sprintf("local=false %v %v", c.LocalAddr(), f.addr)
		}
		if got := addresses(h); got != test.want || kinds(h) != test.kinds {
			t.Errorf("%s: %s, %s\nwant %s, %s", test.name, got, kinds(h), test.want, test.kinds)
		}
		if id := string(h.UniqueID()); test.id != "" && id != test.id || test.id == "" && id == "theirs" {
			t.Errorf("%s: id %q", test.name, id)
		}
		if s := h.SSL(); strings.Contains(test.kinds, "20") && (s.CN != "alice" || !s.Verified) {
			t.Errorf("%s: %+v", test.name, s)
		}
		c.Close()
		b.Close()
	}
}

// Two servers whose targets are each other: the chain ends, and says why.
func TestHeaderGoesInALoop(t *testing.T) {
	for _, how := range []proxy.Received{proxy.MergeReceived, proxy.PassReceived, proxy.ReplaceReceived} {
		one, two := listen(t, "tcp"), listen(t, "tcp")
		out := proxy.Header{Version: 2, Received: how}.Append
		var fronts []*front
		for l, to := range map[net.Listener]net.Listener{one: two, two: one} {
			s := &netserver.Server{Handler: &proxy.Handler{Target: targetOf(to), Header: out}, Log: slog.New(slog.DiscardHandler)}
			s.Config.Proxy = netserver.Proxy{Mode: netserver.ProxyRequire, From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
			fronts = append(fronts, serveOn(t, "tcp", s, l))
		}
		c, err := net.Dial("tcp", one.Addr().String())
		must(t, err)
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Write(received(t, func(h *proto.ProxyHeader) { h.Local = how == proxy.PassReceived }))
		must(t, err)
		_, err = io.Copy(io.Discard, c)
		must(t, err)
		c.Close()
		said, clients := "", 0
		for range 9 {
			select {
			case r := <-fronts[0].recs:
				clients++
				said += fmt.Sprintln(r.Err)
			case r := <-fronts[1].recs:
				clients++
				said += fmt.Sprintln(r.Err)
			case <-time.After(patience):
			}
		}
		if clients != 9 || strings.Count(said, "PROXY header: the client has come through 8 servers like this one: their targets lead back to them") != 1 {
			t.Errorf("%v: %d clients: %s", how, clients, said)
		}
	}
}

// What is wrong with a header is no fault of the targets: none is tried after
// it, and none is down.
func TestHeaderErrorIsNoFaultOfTargets(t *testing.T) {
	a, b := listen(t, "tcp"), listen(t, "tcp")
	be := &proxy.Backend{Name: "x", Targets: append(targetsFor(a), targetsFor(b)...), Header: proxy.Header{Version: 3}.Append}
	f := serve(t, "tcp", &proxy.Handler{Backend: be}, netserver.Config{})
	c := f.dial(t)
	_, err := io.Copy(io.Discard, c)
	must(t, err)
	r := f.record(t)
	if r.Err == nil || !strings.Contains(r.Err.Error(), "PROXY header: version 3 of PROXY headers is not known") || noteOf(r, "tries") != "" {
		t.Errorf("%v, %v", r.Err, r.Notes)
	}
	for _, s := range be.List() {
		if s.State != "up" {
			t.Errorf("%+v", s)
		}
	}
}

func TestHeaderWords(t *testing.T) {
	all := proxy.TLVs(0)
	for name := range strings.FieldsSeq(allTLVs.String()) {
		tlv, err := proxy.ParseTLV(strings.ToUpper(name))
		if err != nil || tlv.String() != name {
			t.Errorf("%s: %v, %v", name, tlv, err)
		}
		all |= tlv
	}
	if all != allTLVs {
		t.Errorf("%v", all)
	}
	if _, err := proxy.ParseTLV("sni"); err == nil || err.Error() != "sni is not known: write alpn, authority, unique_id, crc32c, ssl, cn, group, cert" {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"merge", "pass", "replace"} {
		if r, err := proxy.ParseReceived(name); err != nil || r.String() != name {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	if _, err := proxy.ParseReceived("drop"); err == nil || err.Error() != "drop is not known: write merge, pass, replace" {
		t.Errorf("%v", err)
	}
}

// A name that clients choose must not become more than a name.
func TestHeaderOfOddNames(t *testing.T) {
	for name, wanted := range map[string]string{
		"a.example": "a.example", "xn--nxasmq6b.example": "xn--nxasmq6b.example", "b\ncd": "", "a b": "", strings.Repeat("x", 256): "", strings.Repeat("x", 255): strings.Repeat("x", 255), "\xff": "",
	} {
		if got := proxy.HostName(name); got != wanted {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// BenchmarkHeader makes the headers of a client.
func BenchmarkHeader(b *testing.B) {
	for name, out := range map[string]proxy.Header{"v1": {Version: 1}, "v2": {Version: 2}, "all": {Version: 2, TLVs: allTLVs &^ proxy.TLVUniqueID}} {
		b.Run(name, func(b *testing.B) {
			conns := make(chan *netserver.Conn)
			s := tlsServer(b, netserver.HandlerFunc(func(ctx context.Context, c *netserver.Conn) error {
				conns <- c
				<-ctx.Done()
				return nil
			}), netservertest.NewCA(b, "clients"), "127.0.0.1:0")
			s.Config.Shutdown.Grace = -1
			f := startAt(b, "tls", s)
			f.dial(b)
			c := <-conns
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = out.Append(buf[:0], c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A passing is a proxy that takes clients undecrypted.
type passing struct{ *proxy.Handler }

func (passing) Passes() bool { return true }

func (passing) PassesThrough(*proto.ClientHello, netip.Addr) bool { return true }

// Of a client that is passed on undecrypted the name is known, and no more.
func TestHeaderOfAClientPassedOn(t *testing.T) {
	l := listen(t, "tcp")
	h := passing{&proxy.Handler{Target: targetOf(l), Header: proxy.Header{Version: 2, TLVs: allTLVs &^ proxy.TLVUniqueID &^ proxy.TLVCRC32C}.Append}}
	f := startAt(t, "tls", tlsServer(t, h, netservertest.NewCA(t, "clients"), "127.0.0.1:0"))
	nc, err := net.Dial("tcp", f.addr.String())
	must(t, err)
	defer nc.Close()
	must(t, nc.SetDeadline(time.Now().Add(patience)))
	go tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: "www.example", NextProtos: []string{"h2"}}).Handshake()
	b := accept(t, l)
	got := headerOf(t, b)
	if got.Authority() != "www.example" || kinds(got) != "02" {
		t.Errorf("%s, authority %q", kinds(got), got.Authority())
	}
	want(t, b, "\x16\x03\x01") // the hello itself
}

// A header that a client sends itself is no more to the target than its first
// bytes: ours comes before it.
func TestHeaderOfTheClientsOwn(t *testing.T) {
	const own = "PROXY TCP4 192.0.2.1 198.51.100.2 7 443\r\n"
	for _, version := range []int{1, 2} {
		l := listen(t, "tcp")
		f := serve(t, "tcp", &proxy.Handler{Target: targetOf(l), Header: proxy.Header{Version: version}.Append}, netserver.Config{})
		c := f.dial(t)
		send(t, c, own)
		b := accept(t, l)
		if got := addresses(headerOf(t, b)); got != fmt.Sprintf("local=false %v %v", c.LocalAddr(), f.addr) {
			t.Errorf("version %d: %s", version, got)
		}
		want(t, b, own)
	}
}
