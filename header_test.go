package netserver_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"

	"netserver"
	"netserver/conf"
	"netserver/internal/bridge"
	"netserver/netservertest"
	"netserver/port"
)

const proxyV1 = "PROXY TCP4 192.0.2.1 198.51.100.2 7 443\r\n"

// proxyV2 writes a version 2 header with the same addresses as proxyV1, or a
// LOCAL one.
func proxyV2(t *testing.T, local bool, tlvs ...proxyproto.TLV) string {
	t.Helper()
	h := &proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.TCPv4,
		SourceAddr:      &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 7},
		DestinationAddr: &net.TCPAddr{IP: net.IPv4(198, 51, 100, 2), Port: 443}}
	if local {
		h = &proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	}
	if err := h.SetTLVs(tlvs); err != nil {
		t.Fatal(err)
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tellPeer says who the client is, and returns a line.
func tellPeer(_ context.Context, c *netserver.Conn) error {
	line, err := c.ReadLine()
	if err != nil {
		return err
	}
	raw := c.NetConn()
	if t, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = t.NetConn()
	}
	h := c.ProxyHeader()
	_, err = fmt.Fprintf(c, "%s remote=%v local=%v peer=%v socket=%T header=%t\n", line, c.RemoteAddr(), c.LocalAddr(), c.Peer(), raw, h != nil)
	return err
}

// proxyFrom believes the senders whose headers the key proxy_protocol_from
// would name so.
func proxyFrom(mode netserver.ProxyMode, from ...string) netserver.Proxy {
	p := netserver.Proxy{Mode: mode}
	for _, text := range from {
		if text == "unix" {
			p.FromUnix = true
		} else if a, err := netip.ParseAddr(text); err == nil {
			p.From = append(p.From, netip.PrefixFrom(a, a.BitLen()))
		} else {
			p.From = append(p.From, netip.MustParsePrefix(text))
		}
	}
	return p
}

// startProxied serves tellPeer on tcp, ssl and unix ports that trust everybody
// here.
func startProxied(t *testing.T, change func(*netserver.Server)) *netservertest.Running {
	t.Helper()
	s := &netserver.Server{Handler: netserver.HandlerFunc(tellPeer)}
	s.Config.Proxy.Mode = netserver.ProxyRequire
	s.Config.Proxy = proxyFrom(s.Config.Proxy.Mode, "127.0.0.0/8", "unix")
	if change != nil {
		change(s)
	}
	return netservertest.Start(t, s, netservertest.Streams()...)
}

// A headed connection sends a header before its first bytes, in one packet
// with them, or if step is not 0 in packets of that size.
type headed struct {
	net.Conn
	header string
	step   int
}

func (c *headed) Write(b []byte) (int, error) {
	all := c.header + string(b)
	c.header = ""
	for all != "" {
		n := len(all)
		if c.step > 0 {
			n = min(n, c.step)
		}
		if _, err := io.WriteString(c.Conn, all[:n]); err != nil {
			return 0, err
		}
		all = all[n:]
	}
	return len(b), nil
}

// askProxied sends a header and a line to a port and returns the answer.
func askProxied(t *testing.T, r *netservertest.Running, name, header string, step int) (string, error) {
	t.Helper()
	raw := r.DialRaw(t, name)
	defer raw.Close()
	if tc, ok := raw.(*net.TCPConn); ok {
		tc.SetNoDelay(true)
	}
	var nc net.Conn = &headed{Conn: raw, header: header, step: step}
	if strings.HasSuffix(name, "ssl") {
		nc = tls.Client(nc, r.ClientTLS())
	}
	if _, err := io.WriteString(nc, "hello\n"); err != nil {
		return "", err
	}
	return bufio.NewReader(nc).ReadString('\n')
}

func TestProxyHeaderNamesTheClient(t *testing.T) {
	headers := map[string]string{"v1": proxyV1, "v2": proxyV2(t, false), "v2 with TLVs": proxyV2(t, false, proxyproto.TLV{Type: 5, Value: []byte("id")})}
	for _, mode := range []netserver.ProxyMode{netserver.ProxyRequire, netserver.ProxyAccept} {
		r := startProxied(t, func(s *netserver.Server) { s.Config.Proxy.Mode = mode })
		n := 0
		for _, name := range netservertest.Streams() {
			socket := "*net.TCPConn"
			if strings.HasPrefix(name, "unix") {
				socket = "*net.UnixConn"
			}
			want := "hello remote=192.0.2.1:7 local=198.51.100.2:443 peer=[192.0.2.1]:7 socket=" + socket + " header=true\n"
			for version, header := range headers {
				for _, step := range []int{0, 1, 7} {
					if got, err := askProxied(t, r, name, header, step); got != want || err != nil {
						t.Errorf("%s %s %s by %d: %q, %v; want %q", mode, name, version, step, got, err, want)
					}
					n++
				}
			}
		}
		for _, rec := range r.Records(t, n) {
			if rec.Via == nil || rec.Peer.String() != "192.0.2.1:7" || rec.Err != nil || rec.In != 6 {
				t.Errorf("record: %+v", rec)
			}
			if line := fmt.Sprint(rec.Attrs()); !strings.Contains(line, "peer=192.0.2.1:7 via="+viaOf(rec)) {
				t.Errorf("attributes: %s", line)
			}
		}
		if !strings.Contains(r.Log(), " peer=192.0.2.1:7 ") {
			t.Errorf("log: %s", r.Log())
		}
	}
}

func viaOf(rec netserver.Record) string {
	if rec.Port.IsUnix() {
		return "unix"
	}
	return "127.0.0.1:"
}

func TestProxyHeaderWithoutAddressKeepsTheSenders(t *testing.T) {
	r := startProxied(t, nil)
	for _, header := range []string{"PROXY UNKNOWN\r\n", proxyV2(t, true)} {
		for _, name := range []string{"tcp", "ssl"} {
			got, err := askProxied(t, r, name, header, 0)
			if !strings.HasPrefix(got, "hello remote=127.0.0.1:") || !strings.HasSuffix(got, "header=true\n") || err != nil {
				t.Errorf("%s %q: %q, %v", name, header, got, err)
			}
		}
	}
	for _, rec := range r.Records(t, 4) {
		if rec.Via != nil {
			t.Errorf("via %v", rec.Via)
		}
	}
}

func TestProxyHeaderRefusals(t *testing.T) {
	for _, tc := range []struct {
		name               string
		mode               netserver.ProxyMode
		from, header, want string
	}{
		{"untrusted", netserver.ProxyRequire, "192.0.2.0/24", proxyV1, "PROXY header from an untrusted sender"},
		{"untrusted v2, accept", netserver.ProxyAccept, "192.0.2.0/24", proxyV2(t, false), "PROXY header from an untrusted sender"},
		{"untrusted LOCAL", netserver.ProxyAccept, "192.0.2.0/24", proxyV2(t, true), "PROXY header from an untrusted sender"},
		{"missing", netserver.ProxyRequire, "127.0.0.1", "", "PROXY header missing: the client began with something else"},
		{"garbage", netserver.ProxyRequire, "127.0.0.1", "PROXY TCP4 what\r\n", "PROXY header: version 1: not PROXY TCP4|TCP6"},
		{"garbage, accept", netserver.ProxyAccept, "127.0.0.1", "PROXY TCP4 what\r\n", "PROXY header: version 1: not PROXY TCP4|TCP6"},
		{"checksum", netserver.ProxyRequire, "127.0.0.1", proxyV2(t, false, proxyproto.TLV{Type: 3, Value: []byte("sum?")}), "the header says 73756d3f"},
		{"long", netserver.ProxyRequire, "127.0.0.1", proxyV2(t, false, proxyproto.TLV{Type: 0xE0, Value: make([]byte, 20000)}), "20003 bytes of TLVs, of 16384 that are read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			denied := make(chan *netserver.Error, 9)
			r := startProxied(t, func(s *netserver.Server) {
				s.Config.Proxy = proxyFrom(tc.mode, tc.from)
				s.Hooks.Denied = func(_ context.Context, _ *netserver.Conn, why *netserver.Error) { denied <- why }
			})
			for _, name := range []string{"tcp", "ssl"} {
				if got, err := askProxied(t, r, name, tc.header, 0); err == nil {
					t.Errorf("%s: answered %q", name, got)
				}
			}
			for _, rec := range r.Records(t, 2) {
				if rec.Stage != netserver.StageHeader || !errors.Is(rec.Err, netserver.ErrProxyHeader) || !strings.Contains(rec.Err.Error(), tc.want) || rec.Via != nil {
					t.Errorf("record: %+v", rec)
				}
				untrusted := strings.HasPrefix(tc.name, "untrusted")
				if errors.Is(rec.Err, netserver.ErrDenied) != untrusted || untrusted && (<-denied).Stage != netserver.StageHeader {
					t.Errorf("denied: %v", rec.Err)
				}
			}
		})
	}
}

func TestProxyHeaderMayBeMissing(t *testing.T) {
	for _, from := range []string{"127.0.0.1", "192.0.2.1"} {
		r := startProxied(t, func(s *netserver.Server) {
			s.Config.Proxy = proxyFrom(netserver.ProxyAccept, from)
		})
		for _, name := range netservertest.Streams() {
			if got, err := askProxied(t, r, name, "", 1); !strings.HasPrefix(got, "hello ") || !strings.HasSuffix(got, "header=false\n") || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}

// What stands at a port goes before what stands for all, at run time too.
func TestProxyHeaderPerPort(t *testing.T) {
	params := func(kv ...string) conf.Values {
		v := conf.Values{}
		for i := 0; i < len(kv); i += 2 {
			v[kv[i]] = append(v[kv[i]], conf.Value{Text: kv[i+1]})
		}
		return v
	}
	at := func(proto string, v conf.Values) port.Spec {
		return port.Spec{Host: "127.0.0.1", Port: "0", Proto: proto, IPv: "4", Params: v}
	}
	s := &netserver.Server{Handler: netserver.HandlerFunc(tellPeer)}
	s.Config.Proxy = proxyFrom(s.Config.Proxy.Mode, "192.0.2.0/24")
	hasty := at("unix", params("proxy_protocol", "require", "proxy_protocol_from", "unix", "timeout_proxy_header", "0.1"))
	hasty.Host, hasty.Port, hasty.IPv = "*", filepath.Join(t.TempDir(), "s"), "*"
	s.Config.Ports = []port.Spec{
		at("tcp", params("proxy_protocol", "require", "proxy_protocol_from", "127.0.0.1")),
		at("ssl", nil),
		hasty,
	}
	r := netservertest.Start(t, s)
	if got, err := askProxied(t, r, "tcp", proxyV1, 0); !strings.Contains(got, "remote=192.0.2.1:7") || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := askProxied(t, r, "ssl", "", 0); !strings.Contains(got, "remote=127.0.0.1") || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if b, err := io.ReadAll(r.DialRaw(t, "unix")); len(b) > 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	late := 0
	for _, rec := range r.Records(t, 3) {
		if rec.Err != nil && rec.Port.IsUnix() && strings.Contains(rec.Err.Error(), "in time (100ms)") {
			late++
		}
	}
	if late != 1 {
		t.Errorf("%d records of a late header, want 1", late)
	}
}

func TestProxyHeaderOnUnixNeedsTrustInUnix(t *testing.T) {
	r := startProxied(t, func(s *netserver.Server) { s.Config.Proxy = proxyFrom(s.Config.Proxy.Mode, "0.0.0.0/0", "::/0") })
	if got, err := askProxied(t, r, "unix", proxyV1, 0); err == nil {
		t.Errorf("answered %q", got)
	}
	if rec := r.Records(t, 1)[0]; !errors.Is(rec.Err, netserver.ErrDenied) {
		t.Errorf("record: %+v", rec)
	}
}

func TestRulesGoByTheHeadersAddress(t *testing.T) {
	r := startProxied(t, func(s *netserver.Server) {
		s.Config.Access.Set("cidr_allow", []conf.Value{{Text: "192.0.2.0/30"}}) // and not 127.0.0.1
	})
	for _, name := range netservertest.Streams() {
		if got, err := askProxied(t, r, name, proxyV1, 0); !strings.Contains(got, "remote=192.0.2.1:7") || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if got, err := askProxied(t, r, name, strings.Replace(proxyV1, "2.1", "2.9", 1), 0); err == nil {
			t.Errorf("%s: a client that no rule allows was answered %q", name, got)
		}
	}
	refused := 0
	for _, rec := range r.Records(t, 2*len(netservertest.Streams())) {
		if rec.Err != nil {
			refused++
			if rec.Stage != netserver.StageAdmit || !errors.Is(rec.Err, netserver.ErrDenied) || rec.Peer.String() != "192.0.2.9:7" {
				t.Errorf("record: %+v", rec)
			}
		}
	}
	if refused != len(netservertest.Streams()) {
		t.Errorf("%d refused", refused)
	}
}

// The user at the proxy's end of a UNIX socket is not the client that the proxy
// names.
func TestProxyHeaderHidesTheSendersUser(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no look at a peer's user on every system")
	}
	r := startProxied(t, func(s *netserver.Server) {
		s.Config.Access.Set("unix_allow_user", []conf.Value{{Text: strconv.Itoa(os.Getuid())}})
	})
	unix := &proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: proxyproto.UnixStream,
		SourceAddr: &net.UnixAddr{Net: "unix", Name: "/run/client"}, DestinationAddr: &net.UnixAddr{Net: "unix", Name: "/run/proxy"}}
	header, err := unix.Format()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := askProxied(t, r, "unix", string(header), 0); err == nil {
		t.Errorf("answered %q", got)
	}
	if got, err := askProxied(t, r, "unix", proxyV2(t, true), 0); err != nil {
		t.Errorf("the proxy itself: %q, %v", got, err)
	}
	for _, rec := range r.Records(t, 2) {
		if denied := errors.Is(rec.Err, netserver.ErrDenied); denied != (rec.Via != nil) || denied && rec.Peer.String() != "/run/client" {
			t.Errorf("record: %+v", rec)
		}
	}
}

// A header that tells of a UNIX client must not let the sender's clients past
// rules for addresses: on a port that is no UNIX socket they are judged as
// their sender.
func TestProxyHeaderOfUnixClientIsJudgedAsItsSender(t *testing.T) {
	for _, rule := range []struct {
		key, value string
		admits     bool
	}{
		{"cidr_deny", "127.0.0.0/8", false},
		{"cidr_allow", "192.0.2.0/24", false},
		{"cidr_allow", "127.0.0.0/8", true},
		{"unix_allow_user", strconv.Itoa(os.Getuid()), true}, // concerns UNIX ports alone
	} {
		t.Run(rule.key+" "+rule.value, func(t *testing.T) {
			r := startProxied(t, func(s *netserver.Server) {
				s.Config.Access.Set(rule.key, []conf.Value{{Text: rule.value}})
				if rule.key == "cidr_deny" {
					s.Config.Access.Set("allow", []conf.Value{{Text: ".*"}})
				}
			})
			for _, transport := range []proxyproto.AddressFamilyAndProtocol{proxyproto.UnixStream, proxyproto.UnixDatagram} {
				h := &proxyproto.Header{Version: 2, Command: proxyproto.PROXY, TransportProtocol: transport,
					SourceAddr: &net.UnixAddr{Net: "unix", Name: "/run/client"}, DestinationAddr: &net.UnixAddr{Net: "unix", Name: "/run/proxy"}}
				header, err := h.Format()
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"tcp", "ssl"} {
					got, err := askProxied(t, r, name, string(header), 0)
					if (err == nil) != rule.admits {
						t.Errorf("%s, transport %#x: %q, %v", name, transport, got, err)
					}
					if err == nil && !strings.Contains(got, "peer=[127.0.0.1]:") {
						t.Errorf("%s: judged as %q", name, got)
					}
				}
			}
			for _, rec := range r.Records(t, 4) {
				if denied := errors.Is(rec.Err, netserver.ErrDenied); denied == rule.admits || rec.Peer.String() != "/run/client" || rec.Via == nil {
					t.Errorf("record: %+v", rec)
				}
			}
		})
	}
}

func TestProxyHeaderConfigurationIsChecked(t *testing.T) {
	on := func(proto string, params ...string) port.Spec {
		p := port.Spec{Host: "127.0.0.1", Port: "0", Proto: proto, IPv: "4", Params: conf.Values{}}
		for i := 0; i < len(params); i += 2 {
			p.Params[params[i]] = append(p.Params[params[i]], conf.Value{Text: params[i+1]})
		}
		return p
	}
	const off, require, accept = netserver.ProxyOff, netserver.ProxyRequire, netserver.ProxyAccept
	for _, tc := range []struct {
		mode  netserver.ProxyMode
		from  []string
		ports []port.Spec
		want  string // "" is no error
	}{
		{off, nil, []port.Spec{on("tcp"), on("udp")}, ""},
		{require, nil, []port.Spec{on("tcp")}, "0/tcp: proxy_protocol require trusts nobody yet: give proxy_protocol_from"},
		{accept, nil, []port.Spec{on("tcp")}, "proxy_protocol accept trusts nobody yet"},
		{off, nil, []port.Spec{on("tcp", "proxy_protocol", "require")}, "trusts nobody yet"},
		{off, nil, []port.Spec{on("tcp", "proxy_protocol", "require", "proxy_protocol_from", "10.0.0.1")}, ""},
		{require, nil, []port.Spec{on("tcp", "proxy_protocol", "off")}, ""},
		{require, []string{"10.0.0.0/8", "::1", "unix"}, []port.Spec{on("tcp"), on("udp", "proxy_protocol", "off")}, ""},
		{require, []string{"10.0.0.0/8"}, []port.Spec{on("udp")}, "0/udp: proxy_protocol require is for tcp, ssl and unix ports"},
		{off, []string{"10.0.0.0/8"}, []port.Spec{on("tcp", "proxy_protocol", "maybe")}, `proxy_protocol: "maybe" is not one of off, require, accept`},
		{9, []string{"10.0.0.0/8"}, []port.Spec{on("tcp")}, `proxy_protocol is not one of off, require, accept`},
		{require, []string{"10.0.0.1/8"}, []port.Spec{on("tcp")}, `"10.0.0.1/8" has bits set behind the first 8: write 10.0.0.1 or 10.0.0.0/8`},
		{require, nil, []port.Spec{on("tcp", "proxy_protocol_from", "haproxy.example")}, `"haproxy.example" is neither ADDRESS, ADDRESS/BITS nor unix`},
		{require, nil, []port.Spec{on("tcp", "proxy_protocol_from", "fe80::1%eth0")}, "is neither"},
		{require, []string{"::ffff:10.0.0.0/104"}, []port.Spec{on("tcp")}, "write the IPv4 network without"},
		{off, nil, []port.Spec{on("tcp", "proxy_protocol", "yes")}, `"yes" is not one of off, require, accept`},
	} {
		s := &netserver.Server{Handler: netserver.HandlerFunc(tellPeer)}
		s.Config.Proxy, s.Config.Ports = proxyFrom(tc.mode, tc.from...), tc.ports
		_, err := bridge.Of(s.Monitor()).Transports()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %v %v: %v; want %q", tc.mode, tc.from, tc.ports, err, tc.want)
		}
	}
	s := &netserver.Server{Handler: netserver.HandlerFunc(tellPeer)}
	s.Config.Proxy.Mode = netserver.ProxyRequire
	if err := s.Serve(t.Context(), listenTCP(t)); err == nil || !strings.Contains(err.Error(), "trusts nobody yet") {
		t.Errorf("Serve: %v", err)
	}
}

// A tcpPipe is a pipe that says it comes from a network.
type tcpPipe struct{ net.Conn }

func (tcpPipe) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1} }

func (l *pipeListener) dialProxy() net.Conn {
	a, b := net.Pipe()
	l.conns <- tcpPipe{b}
	return a
}

// drip writes a byte a second until nobody reads.
func drip(c net.Conn, s string) {
	for i := range s {
		if _, err := io.WriteString(c, s[i:i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

func TestProxyHeaderDeadline(t *testing.T) {
	for _, tc := range []struct {
		name        string
		mode        netserver.ProxyMode
		header      string
		limit, want time.Duration
	}{
		{"silent", netserver.ProxyRequire, "", 0, 3 * time.Second},
		{"dripping", netserver.ProxyRequire, proxyV1, 0, 3 * time.Second},
		{"dripping v2", netserver.ProxyRequire, proxyV2(t, false), 20 * time.Second, 20 * time.Second},
		{"dripping, accept", netserver.ProxyAccept, proxyV1, 0, 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &netserver.Server{Handler: netserver.HandlerFunc(tellPeer)}
			s.Config.Proxy = proxyFrom(tc.mode, "10.0.0.0/8")
			s.Config.Timeouts.ProxyHeader = tc.limit
			recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
				c := l.dialProxy()
				dripped := make(chan struct{})
				go func() { defer close(dripped); drip(c, tc.header) }()
				begin := time.Now()
				io.ReadAll(c)
				if d := time.Since(begin); d != tc.want {
					t.Errorf("cut after %v, not %v", d, tc.want)
				}
				c.Close()
				<-dripped
			})
			if len(recs) != 1 || !errors.Is(recs[0].Err, netserver.ErrProxyHeader) || !strings.Contains(recs[0].Err.Error(), "not there or not finished in time ("+tc.want.String()+")") {
				t.Errorf("records: %+v", recs)
			}
		})
	}
}

// A client that waits for the server's greeting has no header.
func TestProxyHeaderSilenceIsNone(t *testing.T) {
	s := &netserver.Server{Handler: netserver.HandlerFunc(tellPeer)}
	s.Config.Proxy = proxyFrom(netserver.ProxyAccept, "10.0.0.0/8")
	recs := served(t, s, nil, func(t *testing.T, l *pipeListener) {
		c := l.dialProxy()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		io.WriteString(c, "hello\n")
		if got, err := bufio.NewReader(c).ReadString('\n'); !strings.HasPrefix(got, "hello remote=10.0.0.1:1 ") || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		c.Close()
	})
	if len(recs) != 1 || recs[0].Err != nil {
		t.Errorf("records: %+v", recs)
	}
}

// Waiting for a header takes no goroutine of those that shake hands.
func TestStalledProxyHeadersAreCheap(t *testing.T) {
	r := startProxied(t, func(s *netserver.Server) { s.Config.Timeouts.ProxyHeader = time.Minute })
	const n = 100
	for i := range n {
		c := r.DialRaw(t, "ssl")
		io.WriteString(c, proxyV1[:i%len(proxyV1)])
	}
	r.Accepted(t, n)
	stacks := make([]byte, 4<<20)
	waiting := func() string { return string(stacks[:runtime.Stack(stacks, true)]) }
	netservertest.Eventually(t, "all wait for their header", func() bool {
		return strings.Count(waiting(), "netserver.(*Conn).readHeader") == n
	})
	if dump := waiting(); strings.Contains(dump, "netserver.(*pool).worker") {
		t.Errorf("a pooled goroutine waits too")
	}
	if got, err := askProxied(t, r, "ssl", proxyV1, 0); err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// An id is told apart from those of another server, and of this one's other
// clients.
func TestUniqueIDs(t *testing.T) {
	seen := make(map[string]bool)
	for range 2 {
		s := &netserver.Server{Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
			fmt.Fprintf(c, "%s %s\n", c.UniqueID(), c.UniqueID())
			return nil
		})}
		r := netservertest.Start(t, s, "tcp")
		for range 2 {
			line, err := bufio.NewReader(r.Dial(t, "tcp")).ReadString('\n')
			one, two, _ := strings.Cut(strings.TrimSpace(line), " ")
			if err != nil || one == "" || one != two || seen[one] || len(one) > 128 {
				t.Errorf("%q, %v", line, err)
			}
			seen[one] = true
		}
	}
}
