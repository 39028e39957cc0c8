package flood

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// server shakes hands with every client and tells the results.
func server(t *testing.T) (netip.AddrPort, <-chan error) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	results := make(chan error, 1000)
	go accept(l, results)
	return l.Addr().(*net.TCPAddr).AddrPort(), results
}

func accept(l net.Listener, results chan<- error) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			c.SetDeadline(time.Now().Add(10 * time.Second))
			results <- c.(*tls.Conn).Handshake()
		}()
	}
}

// Each flood fails where it says, so that it costs the server what it claims.
func TestFloodsFailWhereTheySay(t *testing.T) {
	for kind, want := range map[Kind]string{
		Full:    "",
		Late:    "invalid client finished hash",
		Garbage: "tls: ",
		Reset:   "reset",
	} {
		t.Run(string(kind), func(t *testing.T) {
			addr, results := server(t)
			c, err := newClient()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.one(t.Context(), floods[kind], Source(0, 0), addr); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-results:
				if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("the server's handshake ended with %v, want %q", err, want)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the server saw no client")
			}
		})
	}
}

func TestFloodRunsUntilItsTime(t *testing.T) {
	addr, _ := server(t)
	r, err := Run(t.Context(), Options{Kind: Late, To: addr, Conns: 4, Prefixes: 3, Hosts: 2, Duration: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Done == 0 || r.Failed != 0 {
		t.Errorf("%d done, %d failed", r.Done, r.Failed)
	}
}

// A server that never ends its clients holds them all; one that does is seen to.
func TestHoldSeesWhoIsCut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const conns, cut = 6, 2
	go func() {
		for i := range conns {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			if i < cut {
				c.Close()
			}
		}
		l.Accept() // hold until the end
	}()
	r, err := Run(t.Context(), Options{Kind: StallHello, To: l.Addr().(*net.TCPAddr).AddrPort(), Conns: conns, Duration: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Left != conns-cut || r.Done != cut {
		t.Errorf("%d left and %d cut, want %d and %d", r.Left, r.Done, conns-cut, cut)
	}
}

func TestRunRefusesOtherMachines(t *testing.T) {
	for _, to := range []string{"192.0.2.1:443", "[2001:db8::1]:443", "0.0.0.0:443"} {
		if _, err := Run(context.Background(), Options{Kind: Full, To: netip.MustParseAddrPort(to)}); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
			t.Errorf("%s: %v", to, err)
		}
	}
	if _, err := Run(context.Background(), Options{Kind: "fire", To: netip.MustParseAddrPort("127.0.0.1:1")}); err == nil {
		t.Error("an unknown attack was taken")
	}
}

func TestSourcesAreApart(t *testing.T) {
	seen := map[netip.Prefix]bool{}
	for p := range 500 {
		a := Source(p, 249)
		if !a.IsLoopback() {
			t.Fatalf("%s is no loopback address", a)
		}
		n, _ := a.Prefix(24)
		seen[n] = true
	}
	if len(seen) != 500 {
		t.Errorf("500 prefixes are %d", len(seen))
	}
}

func FuzzServerHello(f *testing.F) {
	f.Add([]byte{2, 0, 0, 1, 0})
	f.Add([]byte{2, 0, 0, 38})
	f.Fuzz(func(t *testing.T, b []byte) {
		msg, share, err := parseServerHello(b)
		if err == nil && (len(share) != 32 || len(msg) > len(b)) {
			t.Errorf("a share of %d bytes in a message of %d of %d", len(share), len(msg), len(b))
		}
	})
}
