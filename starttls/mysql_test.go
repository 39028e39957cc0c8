package starttls_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"netserver/starttls"
)

// pkt makes a packet of MySQL.
func pkt(number byte, payload ...byte) []byte {
	return append([]byte{byte(len(payload)), byte(len(payload) >> 8), byte(len(payload) >> 16), number}, payload...)
}

const (
	flagTLS = 0x800
	flagsOf = 0x200 | 0x8000
	mariadb = "\x0a10.11.6-MariaDB\x00\x01\x00\x00\x00challeng\x00"
)

// mysqlGreeting is how a server begins, with TLS or without.
func mysqlGreeting(tls bool) []byte {
	flags := uint16(flagsOf)
	if tls {
		flags |= flagTLS
	}
	return pkt(0, append(binary.LittleEndian.AppendUint16([]byte(mariadb), flags), make([]byte, 20)...)...)
}

// mysqlAnswer is how a client answers it.
func mysqlAnswer(number byte, flags uint32, rest string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, flags)
	return pkt(number, append(append(b, make([]byte, 28)...), rest...)...)
}

// A side is one end of a conversation: what it sends, and what it wants to hear.
type side struct {
	net.Conn
	err error
}

func (s *side) says(b []byte) {
	if s.err == nil {
		_, s.err = s.Write(b)
	}
}

func (s *side) hears(want []byte) {
	if s.err != nil {
		return
	}
	b := make([]byte, len(want))
	if _, err := io.ReadFull(s, b); err != nil || !bytes.Equal(b, want) {
		s.err = fmt.Errorf("heard %q, %v; want %q", b, err, want)
	}
}

func pipe(t *testing.T) (net.Conn, *side) {
	a, b := net.Pipe()
	for _, nc := range []net.Conn{a, b} {
		nc.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { nc.Close() })
	}
	return a, &side{Conn: b}
}

// A login goes through whoever has TLS: each side counts its own packets.
func TestMySQL(t *testing.T) {
	for _, tt := range []struct{ client, backend, optional bool }{{false, false, false}, {true, false, false}, {false, true, false}, {true, true, false}, {false, true, true}, {false, false, true}} {
		t.Run(fmt.Sprintf("client %v backend %v optional %v", tt.client, tt.backend, tt.optional), func(t *testing.T) {
			ours, client := pipe(t)
			theirs, backend := pipe(t)
			m := starttls.MySQLHandshake{Optional: tt.optional}
			started := 0
			if tt.client || tt.optional {
				m.StartClient = func() error { started++; return nil }
			}
			if tt.backend {
				m.StartBackend = func(nc net.Conn) (net.Conn, error) { started++; return nc, nil }
			}
			done := make(chan error, 3)
			go func() { mysqlClient(client, tt.client, tt.client || tt.optional); done <- client.err }()
			go func() { mysqlBackend(backend, tt.backend); done <- backend.err }()
			nc, err := m.Join(ours, theirs)
			if err != nil {
				t.Fatal(err)
			}
			go io.Copy(nc, ours)
			go io.Copy(ours, nc)
			for range 2 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			want := 0
			for _, on := range []bool{tt.client, tt.backend} {
				if on {
					want++
				}
			}
			if started != want {
				t.Errorf("TLS was started %d times, want %d", started, want)
			}
		})
	}
}

func mysqlClient(c *side, tls, offered bool) {
	c.hears(mysqlGreeting(offered))
	n, flags := byte(1), uint32(flagsOf)
	if tls {
		flags |= flagTLS
		c.says(mysqlAnswer(1, flags, ""))
		n = 2
	}
	c.says(mysqlAnswer(n, flags, "root\x00"))
	c.hears(pkt(n+1, 0xfe, 'x'))
	c.says(pkt(n+2, 'p', 'w'))
	c.hears(pkt(n+3, 0x01, 0x03))
	c.hears(pkt(n+4, 0x00, 0, 0))
	for range 2 {
		c.says(pkt(0, 3, 'q'))
		c.hears(slices.Concat(pkt(1, 1), pkt(2, 0x00), pkt(3, 0xfe)))
	}
}

func mysqlBackend(b *side, tls bool) {
	b.says(mysqlGreeting(true))
	n, flags := byte(1), uint32(flagsOf)
	if tls {
		flags |= flagTLS
		b.hears(mysqlAnswer(1, flags, ""))
		n = 2
	}
	b.hears(mysqlAnswer(n, flags, "root\x00"))
	b.says(pkt(n+1, 0xfe, 'x'))
	b.hears(pkt(n+2, 'p', 'w'))
	b.says(slices.Concat(pkt(n+3, 0x01, 0x03), pkt(n+4, 0x00, 0, 0)))
	for range 2 {
		b.hears(pkt(0, 3, 'q'))
		b.says(slices.Concat(pkt(1, 1), pkt(2, 0x00), pkt(3, 0xfe)))
	}
}

func TestMySQLFails(t *testing.T) {
	both := func() error { return nil }
	backend := func(nc net.Conn) (net.Conn, error) { return nc, nil }
	for name, tt := range map[string]struct {
		backend, client string
		m               starttls.MySQLHandshake
		err             string
		theirs          bool
	}{
		"no greeting":      {"SSH-2.0-OpenSSH\r\n", "", starttls.MySQLHandshake{}, "a packet of", true},
		"another version":  {string(pkt(0, 9, 'x', 0)), "", starttls.MySQLHandshake{}, "greeting", true},
		"short":            {string(pkt(0, 10, 'x', 0, 1)), "", starttls.MySQLHandshake{}, "greeting", true},
		"left":             {"\x40\x00", "", starttls.MySQLHandshake{}, "EOF", true},
		"no TLS there":     {string(mysqlGreeting(false)), "", starttls.MySQLHandshake{StartBackend: backend}, "does not offer", true},
		"no TLS here":      {string(mysqlGreeting(true)), string(mysqlAnswer(1, flagsOf, "root\x00")), starttls.MySQLHandshake{StartClient: both}, "without TLS", false},
		"TLS unasked":      {string(mysqlGreeting(true)), string(mysqlAnswer(1, flagsOf|flagTLS, "")), starttls.MySQLHandshake{}, "since 4.1", false},
		"other flags":      {string(mysqlGreeting(true)), string(mysqlAnswer(1, flagsOf|flagTLS, "")) + string(mysqlAnswer(2, flagsOf, "root\x00")), starttls.MySQLHandshake{StartClient: both}, "other capabilities", false},
		"slipped in":       {string(mysqlGreeting(true)), string(mysqlAnswer(1, flagsOf|flagTLS, "root\x00")), starttls.MySQLHandshake{StartClient: both}, "since 4.1", false},
		"old client":       {string(mysqlGreeting(true)), string(pkt(1, 1, 2, 3, 4, 5)), starttls.MySQLHandshake{}, "since 4.1", false},
		"client left":      {string(mysqlGreeting(true)), "", starttls.MySQLHandshake{}, "EOF", false},
		"TLS here fails":   {string(mysqlGreeting(true)), string(mysqlAnswer(1, flagsOf|flagTLS, "")), starttls.MySQLHandshake{StartClient: func() error { return errors.New("bad") }}, "bad", false},
		"TLS there fails":  {string(mysqlGreeting(true)), string(mysqlAnswer(1, flagsOf, "root\x00")), starttls.MySQLHandshake{StartBackend: func(net.Conn) (net.Conn, error) { return nil, errors.New("bad") }}, "bad", true},
		"a packet of 1 MB": {string(mysqlGreeting(true)), "\x00\x00\x10\x01", starttls.MySQLHandshake{}, "a packet of", false},
	} {
		s := conversation{newServer(tt.backend)}
		c := newServer(tt.client)
		_, err := tt.m.Join(c, s)
		var theirs *starttls.BackendError
		if err == nil || !strings.Contains(err.Error(), tt.err) || errors.As(err, &theirs) != tt.theirs {
			t.Errorf("%s: %v", name, err)
		}
		if name == "no TLS here" && !strings.Contains(c.heard.String(), "#HY000Connections using insecure transport are prohibited") {
			t.Errorf("the client hears %q", c.heard.String())
		}
	}
	full := string(pkt(0, 0xff, 0x10, 0x04, 'T', 'o', 'o'))
	c := newServer("")
	if _, err := (&starttls.MySQLHandshake{StartClient: both}).Join(c, conversation{newServer(full)}); err != nil || c.heard.String() != full {
		t.Errorf("a backend that is full: %v, %q", err, c.heard.String())
	}
}

// A conversation is a server as a net.Conn.
type conversation struct{ *server }

func (conversation) Close() error                       { return nil }
func (conversation) LocalAddr() net.Addr                { return nil }
func (conversation) RemoteAddr() net.Addr               { return nil }
func (conversation) SetDeadline(t time.Time) error      { return nil }
func (conversation) SetReadDeadline(t time.Time) error  { return nil }
func (conversation) SetWriteDeadline(t time.Time) error { return nil }

// In whatever pieces a stream comes, its numbers change in the same way, and
// nothing else of it does.
func FuzzRenumber(f *testing.F) {
	f.Add(slices.Concat(pkt(2, 0xfe, 'x'), pkt(4, 0), pkt(1, 5)), uint8(3), true)
	f.Add(slices.Concat(pkt(2, 0xfe, 'x'), pkt(4), pkt(0, 5)), uint8(1), false)
	f.Fuzz(func(t *testing.T, b []byte, size uint8, ofServer bool) {
		whole := starttls.Renumber([][]byte{b}, 1, ofServer)
		pieces := starttls.Renumber(slices.Collect(slices.Chunk(b, int(size)+1)), 1, ofServer)
		if !bytes.Equal(whole, pieces) {
			t.Fatalf("%q and %q", whole, pieces)
		}
		back := starttls.Renumber([][]byte{whole}, 255, ofServer)
		if ofServer && !bytes.Equal(back, b) {
			t.Fatalf("%q is not %q again", back, b)
		}
	})
}

func FuzzMySQL(f *testing.F) {
	f.Add(mysqlGreeting(true), slices.Concat(mysqlAnswer(1, flagsOf|flagTLS, ""), mysqlAnswer(2, flagsOf|flagTLS, "root\x00")), true, true)
	f.Add(mysqlGreeting(true), mysqlAnswer(1, flagsOf, "root\x00"), false, false)
	f.Fuzz(func(t *testing.T, backend, client []byte, start, optional bool) {
		m := starttls.MySQLHandshake{Optional: optional}
		secured := false
		if start {
			m.StartClient = func() error { secured = true; return nil }
		}
		b := newServer(string(backend))
		nc, err := m.Join(newServer(string(client)), conversation{b})
		if (nc == nil) != (err != nil) {
			t.Fatal(nc, err)
		}
		if start && !optional && !secured && b.heard.Len() > 0 {
			t.Fatalf("without TLS the backend hears %q", b.heard.String())
		}
	})
}
