package proto

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/port"
	"netserver/tlsparams"
)

// ends returns both ends of a loopback connection.
func ends(t testing.TB) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{server, client} {
		c.SetDeadline(time.Now().Add(30 * time.Second))
		t.Cleanup(func() { c.Close() })
	}
	return server, client
}

func transport(t testing.TB, p tlsparams.Params) *TLSTransport {
	t.Helper()
	tr, err := TLS{Params: p, Loopback: true}.Protocol(port.Spec{Port: "443", Proto: "ssl"})
	if err != nil {
		t.Fatal(err)
	}
	return tr.(*TLSTransport)
}

// A tap is a client's connection that can send records beside crypto/tls and
// notes what comes.
type tap struct {
	net.Conn
	mu   sync.Mutex
	seen []byte
	skip func(b []byte) bool // writes of crypto/tls not to send
}

func (c *tap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.seen = append(c.seen, b[:n]...)
	c.mu.Unlock()
	return n, err
}

func (c *tap) Write(b []byte) (int, error) {
	if c.skip != nil && c.skip(b) {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// records returns the types of the records in b.
func records(b []byte) (types []byte) {
	for len(b) >= 5 {
		n := 5 + int(b[3])<<8 + int(b[4])
		types = append(types, b[0])
		b = b[min(n, len(b)):]
	}
	return types
}

// A client that does not trust the certificate says so in plain text as long
// as it has no keys. The record names its alert, and nothing answers it.
func TestAlertInPlainText(t *testing.T) {
	tr := transport(t, tlsparams.Params{})
	for alert, want := range map[byte]string{
		48:  "the client does not trust the server's certificate: it sent the alert unknown_ca",
		46:  "it sent the alert certificate_unknown",
		40:  "the client ended it with the alert handshake_failure",
		199: "with the alert 199",
	} {
		server, client := ends(t)
		done := make(chan error, 1)
		go func() {
			_, err := tr.Ready(context.Background(), server)
			server.(*net.TCPConn).CloseWrite()
			done <- err
		}()
		c := &tap{Conn: client}
		first := true
		c.skip = func([]byte) bool { // all but the hello
			defer func() { first = false }()
			return !first
		}
		cfg := &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
		if err := tls.Client(c, cfg).Handshake(); err == nil || !strings.Contains(err.Error(), "unknown authority") {
			t.Fatal(err)
		}
		before := len(c.seen)
		client.Write([]byte{21, 3, 3, 0, 2, 2, alert})
		err := <-done
		var ca *ClientAlert
		if !errors.As(err, &ca) || ca.Alert != alert || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("alert %d: %v", alert, err)
		}
		rest, _ := io.ReadAll(client)
		for _, typ := range records(append(c.seen[before:], rest...)) {
			if typ == 21 {
				t.Errorf("alert %d was answered with an alert: % x", alert, rest)
			}
		}
	}
}

// crypto/tls tells alerts by their text alone; each number has to be found.
func TestEveryAlertIsFound(t *testing.T) {
	for n := range 256 {
		err := &net.OpError{Op: "remote error", Err: tls.AlertError(n)}
		if a, ok := clientAlert(err); !ok || int(a.Alert) != n {
			t.Errorf("alert %d: %v", n, a)
		}
	}
	if _, ok := clientAlert(&net.OpError{Op: "local error", Err: tls.AlertError(20)}); ok {
		t.Error("an alert of ours is taken for the client's")
	}
}

// A name that no certificate is for is told with the name.
func TestUnknownName(t *testing.T) {
	tr := transport(t, tlsparams.Params{UnknownSNI: "refuse"})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server, client := ends(t)
		done := make(chan error, 1)
		go func() { _, err := tr.Ready(context.Background(), server); done <- err }()
		err := tls.Client(client, &tls.Config{ServerName: "who\x07.example", InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}).Handshake()
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("the client got %v", err)
		}
		var name *UnknownNameError
		if err := <-done; !errors.As(err, &name) || name.Name != "who\x07.example" || !strings.Contains(err.Error(), `"who\a.example"`) {
			t.Errorf("TLS %x: %v", version, err)
		}
	}
}

// After a fatal alert, of either side, nothing more is sent: no close_notify,
// no data.
func TestNothingAfterAnAlert(t *testing.T) {
	tr := transport(t, tlsparams.Params{})
	for name, record := range map[string][]byte{
		"bad record":       append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...),
		"oversized record": {23, 3, 3, 0xff, 0xff},
		"unknown type":     {99, 3, 3, 0, 1, 0},
		"wrong version":    {23, 2, 0, 0, 1, 0},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			server, client := ends(t)
			done := make(chan net.Conn, 1)
			go func() {
				nc, err := tr.Ready(context.Background(), server)
				if err != nil {
					t.Error(err)
				}
				done <- nc
			}()
			c := &tap{Conn: client}
			tc := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
			if err := tc.Handshake(); err != nil {
				t.Fatal(err)
			}
			srv := (<-done).(*TLSConn)
			srv.Write([]byte("x"))
			tc.Read(make([]byte, 1)) // with the tickets
			c.mu.Lock()
			c.seen = nil
			c.mu.Unlock()
			client.Write(record)
			if _, err := srv.Read(make([]byte, 1)); err == nil {
				t.Fatalf("%s: no error", name)
			}
			if _, err := srv.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: Write: %v", name, err)
			}
			if err := srv.CloseWrite(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: CloseWrite: %v", name, err)
			}
			if err := srv.Close(); err != nil {
				t.Errorf("%s: Close: %v", name, err)
			}
			rest, _ := io.ReadAll(client)
			if got := records(rest); len(got) != 1 {
				t.Errorf("%s, TLS %x: %d records came, want the alert alone: % x", name, version, len(got), rest)
			}
		}
	}
}

// The client's own fatal alert ends sending as well.
func TestNothingAfterTheClientsAlert(t *testing.T) {
	tr := transport(t, tlsparams.Params{})
	server, client := ends(t)
	done := make(chan net.Conn, 1)
	go func() { nc, _ := tr.Ready(context.Background(), server); done <- nc }()
	tc := tls.Client(client, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	srv := (<-done).(*TLSConn)
	// crypto/tls sends a fatal alert when it gets what it cannot read.
	server.Write(append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...))
	if _, err := tc.Read(make([]byte, 1)); err == nil {
		t.Fatal("no error")
	}
	if _, err := srv.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Fatal(err)
	}
	if _, err := srv.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	srv.Close()
	if rest, _ := io.ReadAll(client); len(rest) > 0 {
		t.Errorf("% x came", rest)
	}
}

// FuzzBareAlert has any bytes come where an alert in plain text could stand.
func FuzzBareAlert(f *testing.F) {
	f.Add([]byte{21, 3, 3, 0, 2, 2, 42})
	f.Add([]byte{22, 3, 3, 0, 1, 9, 21, 3, 3, 0, 2, 2, 42})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a := bareAlert(b); a != nil && (len(b) < 7 || a.Error() == "") {
			t.Errorf("% x: %v", b, a)
		}
		if endsWithBadCertificate(b) && b[len(b)-1] != alertBadCertificate {
			t.Errorf("% x", b)
		}
	})
}
