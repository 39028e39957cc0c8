package route_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/handler/route"
	"netserver/netservertest"
	"netserver/outcome"
	"netserver/port"
	"netserver/proto"
)

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "16") // those that are parallel wait, and do not work
	os.Exit(netservertest.Main(m))
}

// say answers with a word and what the client has sent in a line.
func say(word string) netserver.Handler {
	return netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		fmt.Fprintf(c, "%s\n", word)
		c.CloseWrite()
		_, err := io.Copy(io.Discard, c)
		return err
	})
}

// must returns a condition that is well-formed.
func must(c route.Condition, err error) route.Condition {
	if err != nil {
		panic(err)
	}
	return c
}

func routes(list ...route.Route) *route.Handler { return &route.Handler{Routes: list} }

func on(word string, when ...route.Condition) route.Route {
	return route.Route{Name: word, When: when, Handler: say(word)}
}

// One port for TLS, SSH, HTTP and PostgreSQL, and for clients that wait for a
// greeting, on plain ports and inside TLS.
func TestFirstBytes(t *testing.T) {
	t.Parallel()
	h := routes(
		on("sni", must(route.SNI("a.example", "*.b.example"))),
		on("tls", must(route.Begins("tls"))),
		on("ssh", must(route.Begins("ssh"))),
		on("http", must(route.Begins("http"))),
		on("pg", must(route.Begins("postgres"))),
		on("proxy", must(route.Begins("proxy"))),
		on("text", must(route.Begins("HELO", "text=silence=1s"))),
		on("silent", must(route.Begins("silence=2s"))), // more than a client needs for its first byte
	)
	s := &netserver.Server{Handler: h}
	r := netservertest.Start(t, s, "tcp", "ssl", "unix")
	plain := map[string]string{
		"SSH-2.0-x\r\n": "ssh", "GET / HTTP/1.1\r\n\r\n": "http", "PRI * HTTP/2.0\r\n\r\nSM": "http",
		"\x00\x00\x00\x08\x04\xd2\x16\x2f": "pg", "\x00\x00\x00\x54\x00\x03\x00\x00user": "pg",
		"PROXY TCP4 1.2.3.4": "proxy", "\r\n\r\n\x00\r\nQUIT\n": "proxy",
		"HELO": "text", "silence=1s": "text", "": "silent",
		"EHLO x\n": "", "GETX": "", "SSG": "", "\x16\x03\x09": "", "\x16\x03\x01\x00\x05\x02": "",
		"\x00\x00\x00\x08\x04\xd2\x16\x31": "", "\x16\x03\x01\x00\x01\x01\x17": "tls",
	}
	for _, name := range []string{"tcp", "ssl", "unix"} {
		for text, want := range plain {
			if name == "ssl" && text == "" {
				continue // its client is silent in its handshake already
			}
			if name != "ssl" && text == "\x16\x03\x09" {
				continue // a hello that may still be finished
			}
			if name != "ssl" && text == "\x16\x03\x01\x00\x01\x01\x17" {
				want = "" // a hello that cannot be read: its name may be that of another route
			}
			t.Run(fmt.Sprintf("%s %q", name, text), func(t *testing.T) {
				t.Parallel()
				for _, cut := range []int{1, 1 << 10} {
					c := r.Dial(t, name)
					for b := []byte(text); len(b) > 0; {
						n := min(cut, len(b))
						c.Write(b[:n])
						b = b[n:]
					}
					got, err := bufio.NewReader(c).ReadString('\n')
					if strings.TrimSpace(got) != want {
						t.Errorf("in pieces of %d: %q, %v, want %q", cut, got, err, want)
					}
					c.Close()
				}
			})
		}
	}
	for sni, want := range map[string]string{"a.example": "sni", "x.B.example": "sni", "x.y.b.example": "tls", "b.example": "tls"} {
		nc := r.DialRaw(t, "tcp")
		go tls.Client(onlyWrites{nc}, &tls.Config{ServerName: sni, InsecureSkipVerify: true}).Handshake()
		if got := greeting(nc); got != want {
			t.Errorf("%s: %q, want %q", sni, got, want)
		}
	}
}

// An expression decides by the first line, or by what is there when the time to
// wait is over.
func TestExpressions(t *testing.T) {
	t.Parallel()
	h := routes(on("text", must(route.Begins(`/^EHL[O0] \d+$/`))), on("other", must(route.Begins("/^x+/"))))
	h.Wait = 2 * time.Second
	r := netservertest.Start(t, &netserver.Server{Handler: h}, "tcp")
	for text, want := range map[string]string{"EHLO 12\nx": "text", "EHL0 7\n": "text", "EHLO x\n": "", "xxx": "other", "EH": ""} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			t.Parallel()
			c := r.Dial(t, "tcp")
			fmt.Fprint(c, text)
			if got := greeting(c); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			c.Close()
		})
	}
}

// onlyWrites is a client's connection whose answers are for another reader.
type onlyWrites struct{ net.Conn }

func (o onlyWrites) Read([]byte) (int, error) { return 0, io.EOF }

// greeting reads the word of a server that speaks plain text to a TLS client.
func greeting(nc net.Conn) string {
	got, _ := bufio.NewReader(struct{ io.Reader }{nc}).ReadString('\n')
	return strings.TrimSpace(got)
}

func TestNames(t *testing.T) {
	ca := netservertest.NewCA(t, "clients")
	pair := ca.Issue(t, netservertest.Leaf{Name: "joe", Hosts: []string{"joe.example"}, Client: true})
	sum := sha256.Sum256(pair.TLS.Certificate[0])
	h := routes(
		on("finger", must(route.CertFingerprint(hex.EncodeToString(sum[:]))), must(route.SNI("finger.example"))),
		on("cn", must(route.CertCN("joe")), must(route.SNI("cn.example"))),
		on("dns", must(route.CertDNS("*.example")), must(route.SNI("dns.example"))),
		on("uri", must(route.CertURI("/.*/"))),
		on("h2", must(route.ALPN("h2"))),
		on("regexp", must(route.SNI(`/^x[0-9]+\./`))),
		on("exact", must(route.SNI("localhost"))),
		on("none", must(route.SNI(""))),
	)
	s := &netserver.Server{Handler: h}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "0", Proto: "ssl", IPv: "4", Params: conf.Values{
		"SSL_verify_mode": {{Text: "1"}}, "SSL_ca_file": {{Text: ca.File(t)}}, "SSL_alpn_protocols": {{Text: "h2"}, {Text: "x"}},
	}}}
	r := netservertest.Start(t, s, "ssl")
	for _, c := range []struct {
		sni, alpn, want string
		cert            bool
	}{
		{sni: "finger.example", cert: true, want: "finger"},
		{sni: "finger.example", want: ""},
		{sni: "cn.example", cert: true, want: "cn"},
		{sni: "dns.example", cert: true, want: "dns"},
		{sni: "localhost", alpn: "h2", want: "h2"},
		{sni: "LOCALHOST", alpn: "x", want: "exact"},
		{sni: "x12.test", want: "regexp"},
		{want: "none"},
		{sni: "other.test", want: ""},
	} {
		cfg := r.ClientTLS()
		cfg.InsecureSkipVerify, cfg.ServerName = true, c.sni
		if c.alpn != "" {
			cfg.NextProtos = []string{c.alpn}
		}
		if c.cert {
			cfg.Certificates = []tls.Certificate{pair.TLS}
		}
		nc := r.DialTLS(t, cfg)
		got, err := bufio.NewReader(nc).ReadString('\n')
		if strings.TrimSpace(got) != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
		nc.Close()
	}
	var none int
	for _, rec := range r.Records(t, 9) {
		if rec.Outcome == outcome.NoRoute {
			none++
		}
	}
	if none != 2 {
		t.Errorf("%d records without a route, want 2", none)
	}
}

// A client of a route that passes on is not decrypted, and the others are.
func TestPassThrough(t *testing.T) {
	echoHello := netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
		b, err := c.Peek(6)
		fmt.Fprintf(c, "%x %s\n", b[0], c.Hello().ServerName)
		return err
	})
	h := routes(
		on("cert", must(route.SNI("both.example")), must(route.CertCN("joe"))),
		route.Route{Name: "pass", When: []route.Condition{must(route.SNI("*.example")), must(route.From(netip.MustParsePrefix("127.0.0.0/8")))}, PassThrough: true, Handler: echoHello},
		on("rest"),
	)
	r := netservertest.Start(t, &netserver.Server{Handler: h}, "ssl")
	nc := r.DialRaw(t, "ssl")
	go tls.Client(onlyWrites{nc}, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}).Handshake()
	if got := greeting(nc); got != "16 a.example" {
		t.Errorf("%q", got)
	}
	for sni, want := range map[string]string{"both.example": "rest", "localhost": "rest"} {
		cfg := r.ClientTLS()
		cfg.InsecureSkipVerify, cfg.ServerName = true, sni
		got, err := bufio.NewReader(r.DialTLS(t, cfg)).ReadString('\n')
		if got != want+"\n" {
			t.Errorf("%s: %q, %v", sni, got, err)
		}
	}
}

func TestDefaultAndRefusal(t *testing.T) {
	t.Parallel()
	h := routes(route.Route{Name: "no", When: []route.Condition{must(route.Begins("x"))}})
	h.Default, h.Wait = say("default"), time.Second
	r := netservertest.Start(t, &netserver.Server{Handler: h}, "tcp", "udp")
	for _, text := range []string{"", "y"} {
		c := r.Dial(t, "tcp")
		fmt.Fprint(c, text)
		if got := greeting(c); got != "default" {
			t.Errorf("%q: %q", text, got)
		}
		c.Close()
	}
	c := r.Dial(t, "tcp")
	fmt.Fprint(c, "x")
	if got, err := io.ReadAll(c); len(got) > 0 {
		t.Errorf("refused: %q, %v", got, err)
	}
	u := r.Dial(t, "udp")
	fmt.Fprint(u, "x")
	if got := greeting(u); got != "default" {
		t.Errorf("a datagram: %q", got)
	}
	denied := 0
	for _, rec := range r.Records(t, 4) {
		if rec.Outcome == outcome.Denied && strings.Contains(rec.Err.Error(), "by route no") {
			denied++
		}
	}
	if denied != 1 {
		t.Errorf("%d records of a refusal, want 1", denied)
	}
}

func TestConditionsThatAreNone(t *testing.T) {
	for text, err := range map[string]error{
		"a star stands for":   second(route.SNI("a*.example")),
		"is no host name":     second(route.SNI("a b")),
		"xn--":                second(route.SNI("bücher.example")),
		"missing closing ):":  second(route.SNI("/(/")),
		"sni: it has no":      second(route.SNI()),
		"is no protocol":      second(route.ALPN("")),
		"from: it has":        second(route.From()),
		"not valid":           second(route.From(netip.Prefix{})),
		"64 hexadecimal":      second(route.CertFingerprint("ab:cd")),
		"a value is empty":    second(route.CertCN("")),
		"a star means":        second(route.CertURI("*x")),
		"silence=2s":          second(route.Begins("silence=2")),
		"1 to 1024 bytes":     second(route.Begins("text=")),
		"begins: it has":      second(route.Begins()),
		"at most 1024":        second(route.SNI("/" + strings.Repeat("a", 2000) + "/")),
		"at most 1m0s":        second(route.Begins("silence=2m")),
		"cert_dns: \"a*.b\":": second(route.CertDNS("a*.b")),
	} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %q", err, text)
		}
	}
}

func second(_ route.Condition, err error) error { return err }

func TestCheck(t *testing.T) {
	h := routes(
		route.Route{Name: "a", When: []route.Condition{must(route.CertCN("x"))}, PassThrough: true, Handler: say("")},
		route.Route{When: []route.Condition{nil}},
		route.Route{Name: "c", PassThrough: true},
	)
	err := h.Check()
	for _, want := range []string{"route a passes clients on undecrypted, and cert_cn is known after the handshake only", "route 2: a condition is nil", "route c passes clients on undecrypted, but to nobody"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	net8, net16 := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16")
	for _, c := range []struct {
		name   string
		a, b   []route.Condition
		shadow bool
	}{
		{"everybody", nil, []route.Condition{must(route.SNI("a"))}, true},
		{"the same", []route.Condition{must(route.SNI("a", "b"))}, []route.Condition{must(route.SNI("B"))}, true},
		{"wildcard", []route.Condition{must(route.SNI("*.x"))}, []route.Condition{must(route.SNI("a.x"))}, true},
		{"two labels", []route.Condition{must(route.SNI("*.x"))}, []route.Condition{must(route.SNI("a.b.x"))}, false},
		{"wider", []route.Condition{must(route.SNI("a.x"))}, []route.Condition{must(route.SNI("*.x"))}, false},
		{"expression", []route.Condition{must(route.SNI("/x/"))}, []route.Condition{must(route.SNI("/x/")), must(route.ALPN("h2"))}, true},
		{"expression of a name", []route.Condition{must(route.SNI("/x/"))}, []route.Condition{must(route.SNI("x"))}, true},
		{"further condition", []route.Condition{must(route.SNI("a")), must(route.ALPN("h2"))}, []route.Condition{must(route.SNI("a"))}, false},
		{"networks", []route.Condition{must(route.From(net8))}, []route.Condition{must(route.From(net16))}, true},
		{"wider network", []route.Condition{must(route.From(net16))}, []route.Condition{must(route.From(net8))}, false},
		{"another network", []route.Condition{must(route.From(net8))}, []route.Condition{must(route.From(netip.MustParsePrefix("11.1.0.0/16")))}, false},
		{"another expression", []route.Condition{must(route.SNI("/x/"))}, []route.Condition{must(route.SNI("/y/"))}, false},
		{"begins", []route.Condition{must(route.Begins("ssh", "http"))}, []route.Condition{must(route.Begins("http"))}, true},
		{"certificates", []route.Condition{must(route.CertDNS("*.x"))}, []route.Condition{must(route.CertDNS("a.x"))}, true},
	} {
		w := routes(route.Route{Name: "one", When: c.a, Handler: say("")}, route.Route{Name: "two", When: c.b, Handler: say("")}).Warnings(route.WireTCP)
		if (len(w) == 1) != c.shadow || len(w) > 1 {
			t.Errorf("%s: %q", c.name, w)
		}
		if len(w) == 1 && w[0] != "route two is never reached: route one before it takes all of its clients" {
			t.Error(w[0])
		}
	}
}

// The index finds the same route as looking at all of them.
func TestIndex(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	values := []string{"a.x", "b.x", "*.x", "*.y.x", "c.y.x", "/^[ab]/", "/z$/", "x", ""}
	names := []string{"a.x", "b.x", "c.x", "c.y.x", "d.y.x", "x", "z", "b.z", "", "q"}
	for range 2000 {
		var h route.Handler
		for i := range 1 + rnd.IntN(6) {
			r := route.Route{Name: fmt.Sprint(i), Handler: say("")}
			if rnd.IntN(5) > 0 {
				r.When = append(r.When, must(route.SNI(values[rnd.IntN(len(values))], values[rnd.IntN(len(values))])))
			}
			if rnd.IntN(4) == 0 {
				r.When = append(r.When, must(route.ALPN("h2")))
			}
			h.Routes = append(h.Routes, r)
		}
		f := route.Facts{Decrypted: true, ServerName: names[rnd.IntN(len(names))]}
		if rnd.IntN(2) == 0 {
			f.ALPN = []string{"h2"}
		}
		want, _ := h.Explain(f)
		if got := route.Chosen(&h, f); got != want {
			t.Fatalf("%v for %+v: %q, all looked at: %q", h.Routes, f, got, want)
		}
	}
}

func TestExplain(t *testing.T) {
	h := routes(on("a", must(route.SNI("a.example"))), on("b", must(route.Begins("ssh"))),
		route.Route{Name: "p", When: []route.Condition{must(route.SNI("p.example"))}, PassThrough: true, Handler: say("")},
		on("l", must(route.From(netip.MustParsePrefix("10.0.0.0/8")))))
	for _, c := range []struct {
		f         route.Facts
		name, why string
	}{
		{route.Facts{Decrypted: true, ServerName: "a.example"}, "a", `sni = "a.example"`},
		{route.Facts{Decrypted: true, ServerName: "c"}, "", `route a: not sni = "a.example"; route b: begins = "ssh" depends on what the client sends; route p: passes on undecrypted, not by this hello; route l: not from = "10.0.0.0/8"`},
		{route.Facts{Plain: true, From: netip.MustParseAddr("10.1.2.3")}, "l", `from = "10.0.0.0/8"; unless begins = "ssh" (route b)`},
		{route.HelloFacts(&proto.ClientHello{ServerName: "p.example"}, netip.Addr{}), "p", `sni = "p.example"; unless begins = "ssh" (route b)`},
	} {
		if name, why := h.Explain(c.f); name != c.name || why != c.why {
			t.Errorf("%q %q, want %q %q", name, why, c.name, c.why)
		}
	}
}

func BenchmarkManyNames(b *testing.B) {
	var h route.Handler
	for i := range 10_000 {
		h.Routes = append(h.Routes, on(fmt.Sprint(i), must(route.SNI(fmt.Sprintf("h%d.example", i)))))
	}
	f := route.Facts{Decrypted: true, ServerName: "h9999.example"}
	route.Chosen(&h, f)
	b.ReportAllocs()
	for b.Loop() {
		if route.Chosen(&h, f) != "9999" {
			b.Fatal("another route")
		}
	}
}

// Ten times as many routes take some ten times as long to check, not a hundred
// times.
func TestManyRoutesAreChecked(t *testing.T) {
	took := func(n, times int) time.Duration {
		var h route.Handler
		for i := range n {
			h.Routes = append(h.Routes, on(fmt.Sprint(i), must(route.SNI(fmt.Sprintf("h%d.example", i), fmt.Sprintf("*.h%d.example", i)))))
		}
		h.Routes = append(h.Routes, on("again", must(route.SNI("h0.example"))))
		begin := time.Now()
		for range times {
			if w := h.Warnings(route.WireTLS); len(w) != 1 {
				t.Fatalf("%d routes: %q", n, w)
			}
		}
		return time.Since(begin)
	}
	for range 5 { // other programs delay both alike
		if few, many := took(1000, 10), took(10_000, 1); many < 4*few {
			return
		}
	}
	t.Error("the time grows with the square of the routes")
}

// Who ends before it can be known what it is takes no route that wants more, and
// who says nothing at all is a probe.
func TestClientsThatEnd(t *testing.T) {
	h := routes(on("ssh", must(route.Begins("ssh"))))
	h.Wait = time.Minute
	r := netservertest.Start(t, &netserver.Server{Handler: h}, "tcp")
	for i, c := range []struct {
		text string
		want outcome.Class
	}{{"SS", outcome.NoRoute}, {"", outcome.Probe}} {
		nc := r.DialRaw(t, "tcp")
		fmt.Fprint(nc, c.text)
		nc.(*net.TCPConn).CloseWrite()
		if got, _ := io.ReadAll(nc); len(got) > 0 {
			t.Errorf("%q: %q", c.text, got)
		}
		nc.Close()
		if rec := r.Records(t, i+1)[i]; rec.Outcome != c.want {
			t.Errorf("%q: %v (%v), want %v", c.text, rec.Outcome, rec.Err, c.want)
		}
	}
}
