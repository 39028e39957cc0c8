package signer

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"net"
	"slices"
	"sync"
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

// FuzzNoDocument looks for a message that is signed and that somebody takes
// for something else. It makes each input a TLS 1.2 form, in which every byte
// is the input's that whoever asks could choose.
func FuzzNoDocument(f *testing.F) {
	root, key := ca(f)
	for _, doc := range documents(f) {
		for _, b := range loosely(doc) {
			f.Add(b, uint8(0), uint8(0))
		}
	}
	pub := make([]byte, 32)
	f.Add(forged(root, pub), uint8(3), uint8(0))
	f.Add(forgedList(root, false), uint8(0), uint8(0))
	f.Add(forgedList(root, true), uint8(0), uint8(1))
	uses := []Use{anyVersion, {TLS12: true, TLS13: true, Marked: true}, {TLS12: true}, {TLS13: true}}
	ring := new(Ring)
	ids := make([]uint32, len(uses))
	for i, u := range uses {
		ids[i], _ = ring.Add(key, u)
	}
	s := New(ring, 0)
	curves := []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	f.Fuzz(func(t *testing.T, data []byte, curve, use uint8) {
		for _, msg := range [][]byte{data, shaped(data, curves[int(curve)%len(curves)], uses[int(use)%len(uses)].Marked)} {
			if len(msg) > maxMessage {
				continue
			}
			_, _, st := s.judge(request{key: ids[int(use)%len(ids)], scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: msg})
			if st != statusSigned {
				continue
			}
			if what := parsesAs(msg); what != "" {
				t.Fatalf("signed, and is %s: %x", what, msg)
			}
		}
	})
}

// shaped gives data the TLS 1.2 form. The key in it is as near to data as it
// can be: X25519 takes all, elsewhere a key is made of it.
func shaped(data []byte, id tls.CurveID, marked bool) []byte {
	curve, size := curveOf(id)
	msg := make([]byte, randoms+4+size)
	copy(msg, data)
	if marked {
		copy(msg[randoms-len(mark):], mark)
	}
	copy(msg[randoms:], []byte{3, byte(id >> 8), byte(id), byte(size)})
	point := msg[randoms+4:]
	if id == tls.X25519 {
		point[31] &= 0x7f
		return msg
	}
	scalar := bytes.Clone(point[1 : 1+size/2])
	scalar[0] = 0
	if k, err := curve.NewPrivateKey(scalar); err == nil {
		copy(point, k.PublicKey().Bytes())
	}
	return msg
}

// parsesAs tells what others take msg for, as it stands or as the part that
// was signed.
func parsesAs(msg []byte) string {
	whole := signed(msg, ecdsaSHA256, make([]byte, 70))
	if _, err := x509.ParseCertificate(whole); err == nil {
		return "a certificate"
	}
	if _, err := x509.ParseRevocationList(whole); err == nil {
		return "a revocation list"
	}
	if _, err := x509.ParseCertificateRequest(whole); err == nil {
		return "a certificate request"
	}
	var outer asn1.RawValue
	if rest, err := asn1.Unmarshal(msg, &outer); err != nil || len(rest) > 0 || !outer.IsCompound || outer.Class != 0 || outer.Tag != asn1.TagSequence && outer.Tag != asn1.TagSet {
		return ""
	}
	var tags []byte
	for rest := outer.Bytes; len(rest) > 0; {
		var e asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &e); err != nil {
			return ""
		}
		tags = append(tags, e.FullBytes[0])
	}
	at := func(i int, want ...byte) bool { return i < len(tags) && slices.Contains(want, tags[i]) }
	switch {
	case at(0, 0xa0, 0xa1, 0xa2) && (at(1, 0x18) || at(2, 0x18)):
		return "an OCSP response"
	case outer.Tag == asn1.TagSet && len(slices.Compact(tags)) == 1 && at(0, 0x30):
		return "attributes of CMS"
	case at(0, 0x02) && at(1, 0x06):
		return "a time stamp"
	}
	return ""
}

// FuzzServer sends whatever comes to a Server that signs. It answers each
// whole request once, in the end is gone, and holds no more than a message.
func FuzzServer(f *testing.F) {
	k := keys(f)
	good := appendRequest(nil, request{id: 1, key: 1, scheme: uint16(tls.ECDSAWithP256AndSHA256), msg: goodMessage()})
	slow := appendRequest(nil, request{id: 2, key: 2, scheme: uint16(tls.PSSWithSHA256), msg: goodMessage()})
	f.Add(good, uint16(1))
	f.Add(bytes.Repeat(slow, 5), uint16(3000))
	f.Add(bytes.Repeat(append(good, slow...), 12), uint16(100))
	f.Add(append(bytes.Repeat([]byte{0, 0, 0, 9, 0, 0, 0, 1, 4, 3, 0, 0}, 300), good...), uint16(4096))
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 1, 4, 3, 255, 255, 1, 2, 3}, uint16(2))
	f.Fuzz(func(t *testing.T, data []byte, step uint16) {
		if len(data) > 8000 {
			return
		}
		var ring Ring
		ring.Add(k["P-256"], anyVersion)
		ring.Add(k["RSA"], anyVersion)
		c := &script{in: data, step: int(step)%4096 + 1}
		var counts Counts
		told := 0
		if err := New(&ring, 1<<30).Serve(c, &counts, func(Refusal) { told++ }); err != nil {
			t.Fatal(err)
		}
		want := requestsIn(data)
		if got := int(counts.Signed.Load() + counts.Refused.Load()); got != want || c.answers(t) != want || told > int(statuses) {
			t.Fatalf("%d requests: %d counted, %d answered, told %d times", want, got, c.answers(t), told)
		}
		if !c.closed || c.longest > 4096*(answerHead+maxSignature)/requestHead {
			t.Fatalf("closed %v, %d bytes at once", c.closed, c.longest)
		}
	})
}

// A script is a connection over which in comes, step bytes at a time.
type script struct {
	in      []byte
	step    int
	mu      sync.Mutex
	out     []byte
	longest int
	closed  bool
}

func (c *script) Read(b []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(c.step, len(b))], c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *script) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out, c.longest = append(c.out, b...), max(c.longest, len(b))
	return len(b), nil
}

func (c *script) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

func (c *script) answers(t *testing.T) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for rest := c.out; len(rest) > 0; n++ {
		_, used, ok := parseAnswer(rest)
		if !ok || used == 0 {
			t.Fatalf("after %d answers: %x", n, rest)
		}
		rest = rest[used:]
	}
	return n
}

// requestsIn counts the requests in data, the last of which may lack the rest
// of a message that is too long.
func requestsIn(data []byte) (n int) {
	for len(data) >= requestHead {
		size := int(data[10])<<8 | int(data[11])
		data = data[requestHead:]
		if size > len(data) && size <= maxMessage {
			return n
		}
		n++
		data = data[min(size, len(data)):]
	}
	return n
}

// run has a peer judge data that comes in pieces of n bytes.
func run(k map[string]crypto.Signer, data []byte, n int) (answers []status, signed []request) {
	var ring Ring
	ring.Add(k["P-256"], anyVersion)
	ring.Add(k["P-256"], Use{TLS12: true, TLS13: true, Old: true})
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
