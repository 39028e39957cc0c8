package signer

import (
	"crypto"
	"crypto/tls"
	"net"
	"testing"
)

// pipeBed is a bed in memory, which the test ends.
func pipeBed(t testing.TB, s *Server) *bed {
	t.Helper()
	a, c := net.Pipe()
	b := &bed{conn: a, client: NewClient(a), done: make(chan error, 1)}
	go func() { b.done <- s.Serve(c, &b.counts, nil) }()
	return b
}

func (b *bed) end() {
	b.client.Close()
	<-b.done
}

// FuzzRequests feeds the side with the keys. However the bytes are cut, the
// same requests come out; every request has its answer; and what is signed has
// the form of a handshake's message.
func FuzzRequests(f *testing.F) {
	k := keys(f)
	good := appendRequest(nil, request{id: 1, key: 1, scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: goodMessage()})
	f.Add(good, uint8(1))
	f.Add(append(good, good[:20]...), uint8(7))
	f.Add(appendRequest(nil, request{id: 2, key: 1, scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: params12(tls.X25519, make([]byte, 32))}), uint8(50))
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 1, 4, 3, 255, 255, 1, 2, 3}, uint8(2))
	f.Add(appendRequest(nil, request{id: 2, key: 2, scheme: legacy, msg: make([]byte, 20)}), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		if len(data) > 4000 {
			return
		}
		whole, signed := run(k, data, len(data))
		pieces, _ := run(k, data, int(step)+1)
		if len(whole) != len(pieces) {
			t.Fatalf("%d answers, in pieces %d", len(whole), len(pieces))
		}
		for i := range whole {
			if whole[i] != pieces[i] {
				t.Fatalf("answer %d is %v, in pieces %v", i, whole[i], pieces[i])
			}
		}
		for _, m := range signed {
			if versionOf(m.msg) == none && m.scheme != legacy {
				t.Fatalf("signed %x", m.msg)
			}
		}
	})
}

// run has a peer judge data that comes in pieces of n bytes.
func run(k map[string]crypto.Signer, data []byte, n int) (answers []status, signed []request) {
	var ring Ring
	ring.Add(k["P-256"], false)
	ring.Add(k["P-256"], true)
	s := New(&ring, 1<<30)
	skip := 0
	buf := make([]byte, 0, 4096)
	for len(data) > 0 {
		n := min(n, len(data), cap(buf)-len(buf))
		buf, data = append(buf, data[:n]...), data[n:]
		rest := buf
		for {
			m := min(skip, len(rest))
			skip, rest = skip-m, rest[m:]
			r, used, more := parseRequest(rest)
			if used == 0 {
				break
			}
			skip, rest = more, rest[used:]
			_, _, st := s.judge(r)
			answers = append(answers, st)
			if st == statusSigned {
				r.msg = append([]byte(nil), r.msg...)
				signed = append(signed, r)
			}
		}
		buf = buf[:copy(buf, rest)]
	}
	return answers, signed
}

// FuzzAnswers feeds the side without keys.
func FuzzAnswers(f *testing.F) {
	f.Add(appendAnswer(nil, answer{id: 1, sig: []byte{1, 2, 3}}))
	f.Add([]byte{0, 0, 0, 0, 9, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		a, n, ok := parseAnswer(data)
		if ok && n > 0 && (n > len(data) || len(a.sig) > maxSignature || string(appendAnswer(nil, a)) != string(data[:n])) {
			t.Fatalf("%v, %d", a, n)
		}
	})
}
