//go:build unix

package exec_test

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/handler/exec"
	"netserver/port"
)

// serveDatagrams starts h on a UDP and a UNIX datagram port.
func serveDatagrams(t *testing.T, h *exec.Handler) *server {
	t.Helper()
	s := newServer(t, nil)
	large := conf.Values{}
	large.Set("udp_recv_len", "65507")
	opener := &netserver.Server{Config: netserver.Config{Ports: []port.Spec{
		{Host: "127.0.0.1", Port: "0", Proto: "udp", IPv: "4", Params: large},
		{Port: filepath.Join(shortDir(t), "s"), Proto: "unixdgram", IPv: "*", Params: large},
	}}}
	ls, err := opener.Listen(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s.addr["udp"], s.addr["unixgram"] = ls[0].Addr(), ls[1].Addr()
	s.start(h, nil, ls...)
	return s
}

// packet sends a datagram and returns a function that receives one.
func (s *server) packet(proto string, b []byte) (receive func() ([]byte, error)) {
	s.t.Helper()
	var local net.Addr
	if proto == "unixgram" {
		local = &net.UnixAddr{Net: "unixgram", Name: filepath.Join(shortDir(s.t), "c")}
	}
	c, err := (&net.Dialer{LocalAddr: local}).Dial(proto, s.addr[proto].String())
	if err == nil {
		s.t.Cleanup(func() { c.Close() })
		_, err = c.Write(b)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	return func() ([]byte, error) {
		b := make([]byte, 70000)
		n, err := c.Read(b)
		return b[:n], err
	}
}

// The program's whole output is one packet, whatever it takes to write it.
func TestDatagramAnswer(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789"), 6000)
	for _, proto := range []string{"udp", "unixgram"} {
		s := serveDatagrams(t, sh(`cat; sleep 0.05; echo end`))
		for _, in := range [][]byte{[]byte("hello "), large, nil} {
			got, err := s.packet(proto, in)()
			if want := append(bytes.Clone(in), "end\n"...); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v", proto, len(got), err)
			}
			if r := s.record(); r.Err != nil || !strings.Contains(notes(r), "exit=0") {
				t.Errorf("%s: %v; %s", proto, r.Err, notes(r))
			}
		}
	}
}

func TestDatagramEnvironment(t *testing.T) {
	s := serveDatagrams(t, printEnv())
	b, err := s.packet("udp", nil)()
	if err != nil {
		t.Fatal(err)
	}
	_, p, _ := net.SplitHostPort(s.addr["udp"].String())
	want(t, splitEnv(string(b)), "PROTO=UDP", "UDPLOCALIP=127.0.0.1", "UDPLOCALPORT="+p, "UDPREMOTEIP=127.0.0.1", "TCPREMOTEIP=",
		"REMOTE_ADDR=127.0.0.1")
	if b, err = s.packet("unixgram", nil)(); err != nil {
		t.Fatal(err)
	}
	want(t, splitEnv(string(b)), "PROTO=UNIX", "UNIXLOCALPATH="+s.addr["unixgram"].String(), "REMOTE_ADDR=")
}

// A program that writes nothing answers nothing; one that writes too much is
// ended, and its answer is an error.
func TestDatagramAnswerSizes(t *testing.T) {
	s := serveDatagrams(t, sh(`exec head -c 65507 /dev/zero`))
	if b, err := s.packet("udp", nil)(); len(b) != 65507 || err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	s = serveDatagrams(t, sh(`exec head -c 65508 /dev/zero`))
	s.packet("udp", nil)
	if r := s.record(); r.Err == nil || !strings.Contains(r.Err.Error(), "longer than 65507 bytes") || r.Out != 0 {
		t.Errorf("record: %v, %d bytes out", r.Err, r.Out)
	}
	s = serveDatagrams(t, sh(`exec cat /dev/zero`))
	s.packet("udp", nil)
	if r := s.record(); r.Err == nil || !strings.Contains(r.Err.Error(), "longer than 65507 bytes") {
		t.Errorf("record: %v; %s", r.Err, notes(r))
	}
	s = serveDatagrams(t, sh(`exit 3`))
	s.packet("udp", nil)
	if r := s.record(); r.Err == nil || r.Out != 0 || !strings.Contains(notes(r), "exit=3") {
		t.Errorf("record: %v; %s", r.Err, notes(r))
	}
}
