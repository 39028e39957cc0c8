package starttls_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"netserver/starttls"
)

var errGone = errors.New("the other end is gone")

// A failing end takes no more than a number of writes.
type failing struct {
	left   int
	client *client
	server *server
}

func (f *failing) Read(b []byte) (int, error) {
	if f.client != nil {
		return f.client.Read(b)
	}
	return f.server.Read(b)
}

func (f *failing) Peek(n int) ([]byte, error) { return f.client.Peek(n) }

func (f *failing) ReadUntil(delim byte, n int) ([]byte, error) { return f.client.ReadUntil(delim, n) }

func (f *failing) Write(b []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errGone
	}
	return len(b), nil
}

// Whoever does not take an answer or a command gets no TLS: that is the error,
// whichever write it was.
func TestWritesFail(t *testing.T) {
	const most = 20
	for _, tt := range starts {
		n := 0
		for ; n < most; n++ {
			s := starttls.Server{Protocol: tt.protocol}
			_, err := s.Negotiate(&failing{left: n, client: newClient(tt.client)})
			if err == nil {
				break
			}
			if !errors.Is(err, errGone) {
				t.Errorf("%v: the client took %d answers: %v", tt.protocol, n, err)
			}
		}
		if n == 0 || n == most {
			t.Errorf("%v: TLS after %d answers", tt.protocol, n)
		}
		for n = 0; n < most; n++ {
			_, err := tt.protocol.Start(&failing{left: n, server: newServer(tt.server)}, "", "")
			if err == nil {
				break
			}
			if !errors.Is(err, errGone) {
				t.Errorf("%v: the server took %d commands: %v", tt.protocol, n, err)
			}
		}
		if n == 0 || n == most {
			t.Errorf("%v: TLS after %d commands", tt.protocol, n)
		}
	}
}

// What has no size that PostgreSQL's first message can have is another protocol,
// and is not answered.
func TestPostgreSQLSizes(t *testing.T) {
	for size, speaks := range map[uint32]bool{0: false, 7: false, 8: true, 9: true, 10000: true, 10001: false, 1 << 31: false} {
		b := binary.BigEndian.AppendUint32(nil, size)
		c := newClient(string(append(b, 0, 3, 0, 0)))
		_, err := (&starttls.Server{Protocol: starttls.PostgreSQL}).Negotiate(c)
		if errors.Is(err, starttls.ErrTLSRequired) != speaks || (c.Len() > 0) != speaks {
			t.Errorf("a message of %d bytes: %v, answer %q", size, err, c.String())
		}
	}
}

// Attributes without quotes, or without a value, are none: there is no TLS by
// them.
func TestXMPPAttributes(t *testing.T) {
	for _, attrs := range []string{"", " xmlns", " xmlns=", " xmlns=urn:ietf:params:xml:ns:xmpp-tls", " xmlns=xurn:ietf:params:xml:ns:xmpp-tlsx", " xmlns='urn:ietf:params:xml:ns:xmpp-tls", " y='urn:ietf:params:xml:ns:xmpp-tls'"} {
		_, err := (&starttls.Server{Protocol: starttls.XMPP}).Negotiate(newClient(xmppOpen + "<starttls" + attrs + "/>"))
		if err == nil {
			t.Errorf("%q: TLS starts", attrs)
		}
	}
}
