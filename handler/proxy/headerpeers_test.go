package proxy_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/handler/proxy"
	"netserver/netservertest"
	"netserver/port"
	"netserver/proto"
)

// A capture is a target that takes down what comes before the client's first
// byte. Connections without one do not count: those of who looks whether a
// program listens.
type capture struct {
	net.Listener
	headers chan []byte
}

const clientSays = "the client's first bytes\n"

func newCapture(t *testing.T) *capture {
	c := &capture{listen(t, "tcp"), make(chan []byte, 10)}
	go func() {
		for {
			nc, err := c.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(patience))
				var got []byte
				buf := make([]byte, 1<<17)
				for !bytes.HasSuffix(got, []byte(clientSays)) {
					n, err := nc.Read(buf)
					if got = append(got, buf[:n]...); err != nil {
						return
					}
				}
				c.headers <- bytes.TrimSuffix(got, []byte(clientSays))
				nc.Write([]byte("x"))
				nc.Read(buf) // until the client has gone
			}()
		}
	}()
	return c
}

// A talk is a connection of a client, made twice: through another program and
// through us. Its address and the one that it connects to are the same.
type talk struct {
	from string
	to   string
	tls  *tls.Config
}

// sent returns the header that the target gets in front of the talk.
func (w *talk) sent(t *testing.T, target *capture) []byte {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	local, err := net.ResolveTCPAddr("tcp", w.from)
	must(t, err)
	d.LocalAddr = local
	socket, err := d.Dial("tcp", w.to)
	must(t, err)
	// With a reset no trace of the connection remains, and the client's port is
	// free for the next one.
	defer socket.Close()
	must(t, socket.(*net.TCPConn).SetLinger(0))
	must(t, socket.SetDeadline(time.Now().Add(patience)))
	nc := socket
	if w.tls != nil {
		nc = tls.Client(socket, w.tls)
	}
	send(t, nc, clientSays)
	select {
	case h := <-target.headers:
		_, err := io.ReadFull(nc, make([]byte, 1)) // and with that a TLS session
		must(t, err)
		return h
	case <-time.After(patience):
		t.Fatalf("no header from %s", w.to)
		return nil
	}
}

// freeAddress returns an address where nobody listens, for now.
func freeAddress(t *testing.T, host string) string {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// ours serves the same talks at the same place.
func ours(t *testing.T, address string, s *netserver.Server) *front {
	if s.Handler == nil {
		t.Fatal("no handler")
	}
	if len(s.Config.Ports) == 0 {
		host, number, err := net.SplitHostPort(address)
		must(t, err)
		s.Config.Ports = []port.Spec{{Host: host, Port: number, Proto: "tcp", IPv: "*"}}
		s.Log = slog.New(slog.DiscardHandler)
	}
	return startAt(t, "tcp", s)
}

// The headers of HAProxy and ours, of the same clients, are the same byte for
// byte.
func TestHeadersAreThoseOfHAProxy(t *testing.T) {
	ca := netservertest.NewCA(t, "clients")
	alice := ca.Issue(t, netservertest.Leaf{Name: "alice", Client: true})
	server := ca.Issue(t, netservertest.Leaf{})
	dir := t.TempDir()
	pem := filepath.Join(dir, "server.pem")
	server.WriteBoth(t, pem, 0o600)
	target := newCapture(t)
	session := func() tls.ClientSessionCache { return tls.NewLRUClientSessionCache(1) }
	config := func(change func(*tls.Config)) *tls.Config {
		cfg := &tls.Config{InsecureSkipVerify: true, ServerName: "www.example"}
		change(cfg)
		return cfg
	}
	none := config(func(*tls.Config) {})
	withCert := config(func(c *tls.Config) { c.Certificates = []tls.Certificate{alice.TLS} })
	withALPN := config(func(c *tls.Config) { c.NextProtos = []string{"h2"} })
	tls12 := config(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12; c.Certificates = withCert.Certificates })
	noName := config(func(c *tls.Config) { c.ServerName = "" })
	const tlsBind = " ssl crt PEM ca-file CA verify optional alpn h2,http/1.1 ciphersuites TLS_AES_128_GCM_SHA256 ciphers ECDHE-ECDSA-AES128-GCM-SHA256"
	tests := []struct {
		name, from, host, bind, options string
		tls                             *tls.Config
		again                           bool // resume the session
		header                          proxy.Header
	}{
		{"v1", "127.0.0.9", "127.0.0.1", "", "send-proxy", nil, false, proxy.Header{Version: 1}},
		{"v1 IPv6", "::1", "::1", "", "send-proxy", nil, false, proxy.Header{Version: 1}},
		{"v2", "127.0.0.9", "127.0.0.1", "", "send-proxy-v2", nil, false, proxy.Header{Version: 2}},
		{"v2 IPv6", "::1", "::1", "", "send-proxy-v2", nil, false, proxy.Header{Version: 2}},
		{"checksum", "127.0.0.9", "127.0.0.1", "", "send-proxy-v2 proxy-v2-options crc32c", nil, false, proxy.Header{Version: 2, TLVs: proxy.TLVCRC32C}},
		{"v1 of TLS", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy", none, false, proxy.Header{Version: 1}},
		{"ALPN", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy-v2", withALPN, false, proxy.Header{Version: 2, TLVs: proxy.TLVALPN}},
		{"authority", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy-v2 proxy-v2-options authority,crc32c", none, false, proxy.Header{Version: 2, TLVs: proxy.TLVAuthority | proxy.TLVCRC32C}},
		{"no authority", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy-v2 proxy-v2-options authority,crc32c", noName, false, proxy.Header{Version: 2, TLVs: proxy.TLVAuthority | proxy.TLVCRC32C}},
		{"ssl", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy-v2-ssl proxy-v2-options ssl-cipher", none, false, proxy.Header{Version: 2, TLVs: proxy.TLVSSL}},
		{"ssl with a certificate", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy-v2-ssl proxy-v2-options ssl-cipher,crc32c", withCert, false, proxy.Header{Version: 2, TLVs: proxy.TLVSSL | proxy.TLVCRC32C}},
		{"cn", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher,authority,crc32c", withCert, false, proxy.Header{Version: 2, TLVs: proxy.TLVCN | proxy.TLVAuthority | proxy.TLVCRC32C}},
		{"cn without a certificate", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher", none, false, proxy.Header{Version: 2, TLVs: proxy.TLVCN}},
		{"TLS 1.2", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher,crc32c", tls12, false, proxy.Header{Version: 2, TLVs: proxy.TLVCN | proxy.TLVCRC32C}},
		{"resumed", "127.0.0.9", "127.0.0.1", tlsBind, "send-proxy-v2-ssl-cn proxy-v2-options ssl-cipher,crc32c", withCert, true, proxy.Header{Version: 2, TLVs: proxy.TLVCN | proxy.TLVCRC32C}},
	}
	var conf strings.Builder
	conf.WriteString("defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n")
	talks := make([]talk, len(tests))
	for i, test := range tests {
		talks[i] = talk{freeAddress(t, test.from), freeAddress(t, test.host), test.tls}
		bind := strings.NewReplacer("PEM", pem, "CA", ca.File(t)).Replace(test.bind)
		fmt.Fprintf(&conf, "listen l%d\n bind %s%s\n server s %s %s\n", i, talks[i].to, bind, target.Addr(), test.options)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	must(t, os.WriteFile(file, []byte(conf.String()), 0o600))
	kill := peer(t, talks[0].to, "haproxy", "-db", "-f", file)
	of := func(i int) []byte {
		w := talks[i]
		if tests[i].again {
			w.tls = w.tls.Clone()
			w.tls.ClientSessionCache = session()
			w.sent(t, target)
		}
		return w.sent(t, target)
	}
	theirs := make([][]byte, len(tests))
	for i := range tests {
		theirs[i] = of(i)
	}
	kill()
	for i, test := range tests {
		h := &proxy.Handler{Target: targetOf(target), Header: test.header.Append}
		s := &netserver.Server{Handler: h}
		if test.tls != nil {
			s = tlsServer(t, h, ca, talks[i].to)
		}
		f := ours(t, talks[i].to, s)
		if got, want := of(i), asSpecified(t, theirs[i]); !bytes.Equal(got, want) {
			t.Errorf("%s:\n   ours %q\nHAProxy %q", test.name, got, want)
		}
		f.stop()
	}
}

// asSpecified changes a header of HAProxy where that says of a client without a
// certificate that it is verified.
func asSpecified(t *testing.T, h []byte) []byte {
	v, ok := read(t, h).TLV(proto.ProxyTLVSSL)
	if !ok || v[0]&6 != 0 || binary.BigEndian.Uint32(v[1:]) != 0 {
		return h
	}
	at := bytes.Index(h, v)
	h = bytes.Clone(h)
	h[at+4] = 1
	return h
}

// read reads a header that is whole.
func read(t *testing.T, b []byte) *proto.ProxyHeader {
	t.Helper()
	a, c := net.Pipe()
	go func() { a.Write(b); a.Close() }()
	defer c.Close()
	return headerOf(t, c)
}

// nginx has version 1 only.
func TestHeadersAreThoseOfNginx(t *testing.T) {
	dir := t.TempDir()
	target := newCapture(t)
	load := ""
	if m := "/usr/lib/nginx/modules/ngx_stream_module.so"; fileExists(m) {
		load = "load_module " + m + ";\n"
	}
	talks := []talk{{freeAddress(t, "127.0.0.9"), freeAddress(t, "127.0.0.1"), nil}, {freeAddress(t, "::1"), freeAddress(t, "::1"), nil}}
	conf := load + "daemon off; master_process off; pid " + dir + "/pid; error_log stderr;\nevents {}\nstream {\n"
	for _, w := range talks {
		conf += fmt.Sprintf("server { listen %s; proxy_pass %s; proxy_protocol on; }\n", w.to, target.Addr())
	}
	file := filepath.Join(dir, "nginx.conf")
	must(t, os.WriteFile(file, []byte(conf+"}\n"), 0o600))
	kill := peer(t, talks[0].to, "nginx", "-p", dir, "-e", "stderr", "-c", file)
	var theirs [][]byte
	for _, w := range talks {
		theirs = append(theirs, w.sent(t, target))
	}
	kill()
	for i, w := range talks {
		f := ours(t, w.to, &netserver.Server{Handler: &proxy.Handler{Target: targetOf(target), Header: proxy.Header{Version: 1}.Append}})
		if got := w.sent(t, target); !bytes.Equal(got, theirs[i]) {
			t.Errorf("ours %q\nnginx %q", got, theirs[i])
		}
		f.stop()
	}
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// What HAProxy and nginx understand of our headers: they answer with it. HAProxy
// checks CRC32C.
func TestHeadersAreUnderstood(t *testing.T) {
	ca := netservertest.NewCA(t, "clients")
	alice := ca.Issue(t, netservertest.Leaf{Name: "alice", Client: true})
	dir := t.TempDir()
	web := freeAddress(t, "127.0.0.1")
	nginx := filepath.Join(dir, "nginx.conf")
	must(t, os.WriteFile(nginx, fmt.Appendf(nil, `
daemon off; master_process off; pid %[1]s/nginx.pid; error_log /dev/null;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server { listen %[2]s proxy_protocol; location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port\n"; } }
}
`, dir, web), 0o644))
	peer(t, web, "nginx", "-c", nginx, "-p", dir)
	plain := freeAddress(t, "127.0.0.1")
	haproxy := filepath.Join(dir, "haproxy.cfg")
	must(t, os.WriteFile(haproxy, fmt.Appendf(nil, `
defaults
  mode http
  timeout client 20s
  timeout server 20s
  timeout connect 5s
frontend f
  bind %s accept-proxy
  http-request return status 200 content-type text/plain lf-string "%%[src] %%[src_port] %%[dst] %%[dst_port] %%[fc_rcvd_proxy] %%[fc_pp_authority] %%[fc_pp_unique_id]\n"
`, plain), 0o644))
	peer(t, plain, "haproxy", "-db", "-f", haproxy)

	for _, test := range []struct {
		name, target, kind string
		header             proxy.Header
		want               string // SRC and DST are the client's addresses and ports, ID the unique id
	}{
		{"v1", plain, "tcp", proxy.Header{Version: 1}, "SRC DST 1  \n"},
		{"v2", plain, "tcp", proxy.Header{Version: 2}, "SRC DST 1  \n"},
		{"v2 checksum and id", plain, "tcp", proxy.Header{Version: 2, TLVs: proxy.TLVCRC32C | proxy.TLVUniqueID}, "SRC DST 1  ID\n"},
		{"all", plain, "tls", proxy.Header{Version: 2, TLVs: allTLVs}, "SRC DST 1 www.example ID\n"},
		// Of UNIX clients HAProxy knows none: version 2 it refuses.
		{"UNIX v1", plain, "unix", proxy.Header{Version: 1}, "127.0.0.1 "},
		{"v1", web, "tcp", proxy.Header{Version: 1}, "SRC DST\n"},
		{"v2", web, "tcp", proxy.Header{Version: 2}, "SRC DST\n"},
		{"all", web, "tls", proxy.Header{Version: 2, TLVs: allTLVs}, "SRC DST\n"},
		{"UNIX v2", web, "unix", proxy.Header{Version: 2}, "   \n"},
	} {
		h := &proxy.Handler{Target: test.target, Header: test.header.Append}
		var f *front
		if test.kind == "tls" {
			s := tlsServer(t, h, ca, "127.0.0.1:0")
			s.Config.TLS.ALPN = nil
			f = startAt(t, "tls", s)
		} else {
			f = serve(t, test.kind, h, netserver.Config{})
		}
		socket, err := net.Dial(f.addr.Network(), f.addr.String())
		must(t, err)
		must(t, socket.SetDeadline(time.Now().Add(patience)))
		nc := socket
		if test.kind == "tls" {
			nc = tls.Client(socket, &tls.Config{InsecureSkipVerify: true, ServerName: "www.example", Certificates: []tls.Certificate{alice.TLS}})
		}
		send(t, nc, "GET / HTTP/1.0\r\n\r\n")
		answer, err := io.ReadAll(nc)
		_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
		socket.Close()
		r := f.record(t)
		addr := strings.NewReplacer("127.0.0.1:", "127.0.0.1 ")
		words := strings.NewReplacer("SRC", addr.Replace(socket.LocalAddr().String()), "DST", addr.Replace(f.addr.String()), "ID", noteOf(r, "unique_id"))
		want := words.Replace(test.want)
		if !strings.HasPrefix(body, want) || err != nil {
			t.Errorf("%s to %s: %q, %v; want %q", test.name, map[string]string{plain: "HAProxy", web: "nginx"}[test.target], answer, err, want)
		}
		f.stop()
	}
}
